/** cgroup v1 cpu: shares in proportion to the request, a CFS quota for the limit. */
import type { CpuController, CpuUsage } from '../driver.ts';
import { readNumber, readPairs, writeControl } from '../files.ts';

const periodUs = 100_000;
const minQuotaUs = 1000;
/** The kernel's unit in cpuacct.stat; 100 on every Linux architecture. */
const ticksPerSecond = 100;

/**
 * `directoryOf` gives the container's group in the cpu hierarchy. CPU time is read from the v2 group where there is one
 * (cpu.stat needs no controller), else from cpuacct.
 */
export function createCpuController(
  directoryOf: (id: string) => string,
  accounting: { unified?: (id: string) => string; cpuacct?: (id: string) => string },
): CpuController {
  return {
    limit(id, { cpus, limit }) {
      const directory = directoryOf(id);
      // 2 is the kernel's smallest value.
      writeControl(`${directory}/cpu.shares`, Math.max(2, Math.round(1024 * cpus)));
      const quota = limit === undefined || limit === Infinity ? -1 : Math.max(minQuotaUs, Math.round(limit * periodUs));
      // The period of a new group is 100 ms already, and a group without quota needs no write at all.
      if (quota !== -1 || readNumber(`${directory}/cpu.cfs_quota_us`) !== -1) {
        writeControl(`${directory}/cpu.cfs_quota_us`, quota);
      }
    },

    usage(id) {
      const stat = readPairs(`${directoryOf(id)}/cpu.stat`);
      return {
        ...readTimes(id, accounting),
        periods: stat.get('nr_periods') ?? 0,
        throttledPeriods: stat.get('nr_throttled') ?? 0,
        throttledSeconds: (stat.get('throttled_time') ?? 0) / 1e9,
      };
    },
  };
}

function readTimes(id: string, accounting: Parameters<typeof createCpuController>[1]): CpuUsage {
  if (accounting.unified) {
    const stat = readPairs(`${accounting.unified(id)}/cpu.stat`);
    return { userSeconds: (stat.get('user_usec') ?? 0) / 1e6, systemSeconds: (stat.get('system_usec') ?? 0) / 1e6 };
  }
  const stat = accounting.cpuacct ? readPairs(`${accounting.cpuacct(id)}/cpuacct.stat`) : new Map<string, number>();
  return {
    userSeconds: (stat.get('user') ?? 0) / ticksPerSecond,
    systemSeconds: (stat.get('system') ?? 0) / ticksPerSecond,
  };
}
