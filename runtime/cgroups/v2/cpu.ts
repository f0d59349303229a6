/** cgroup v2 cpu: weight in proportion to the request, cpu.max for the limit. */
import type { CpuController } from '../driver.ts';
import { readPairs, writeControl } from '../files.ts';

const periodUs = 100_000;
const minQuotaUs = 1000;

export function createCpuController(directoryOf: (id: string) => string): CpuController {
  return {
    limit(id, { cpus, limit }) {
      const directory = directoryOf(id);
      // As Mesos: 100 per CPU, so that one CPU is the kernel's default weight.
      writeControl(`${directory}/cpu.weight`, Math.min(10_000, Math.max(1, Math.round(100 * cpus))));
      const quota =
        limit === undefined || limit === Infinity ? 'max' : Math.max(minQuotaUs, Math.round(limit * periodUs));
      writeControl(`${directory}/cpu.max`, `${quota} ${periodUs}`);
    },

    usage(id) {
      const stat = readPairs(`${directoryOf(id)}/cpu.stat`);
      return {
        userSeconds: (stat.get('user_usec') ?? 0) / 1e6,
        systemSeconds: (stat.get('system_usec') ?? 0) / 1e6,
        periods: stat.get('nr_periods') ?? 0,
        throttledPeriods: stat.get('nr_throttled') ?? 0,
        throttledSeconds: (stat.get('throttled_usec') ?? 0) / 1e6,
      };
    },
  };
}
