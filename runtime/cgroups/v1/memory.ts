/** cgroup v1 memory: soft limit for the request, hard limit for the limit, and one for memory and swap together. */
import { existsSync } from 'node:fs';
import { LimitBelowUse, type MemoryController, type MemoryLimits } from '../driver.ts';
import { readNumber, readPairs, writeControl, writeControlIfPresent } from '../files.ts';
import { listGroups } from '../groups.ts';

/** `mount` is that of the hierarchy: its files tell what the kernel counts. */
export function createMemoryController(directoryOf: (id: string) => string, mount: string): MemoryController {
  return {
    killsWholeGroup: false,
    limitsSwap: existsSync(`${mount}/memory.memsw.limit_in_bytes`),

    limit(id, limits) {
      writeLimits(directoryOf(id), limits);
    },

    update(id, limits) {
      const directory = directoryOf(id);
      const used = readNumber(`${directory}/memory.usage_in_bytes`) ?? 0;
      if (limits.hardBytes < used) throw new LimitBelowUse(limits.hardBytes, used);
      // memsw may never be below the plain limit, so the order of the two writes depends on the direction.
      writeLimits(directory, limits, limits.hardBytes > (readNumber(`${directory}/memory.limit_in_bytes`) ?? Infinity));
    },

    usage(id) {
      const directory = directoryOf(id);
      const stat = readPairs(`${directory}/memory.stat`);
      return {
        totalBytes: readNumber(`${directory}/memory.usage_in_bytes`) ?? 0,
        rssBytes: stat.get('total_rss') ?? 0,
        cacheBytes: stat.get('total_cache') ?? 0,
        limitBytes: readNumber(`${directory}/memory.limit_in_bytes`),
        peakBytes: readNumber(`${directory}/memory.max_usage_in_bytes`),
        swapBytes: stat.get('total_swap'),
      };
    },

    oomKills: (id) => oomKillsBelow(directoryOf(id)),
  };
}

/** cgroup v1 counts a kill in the group that the process was in, not in that whose limit was reached. */
function oomKillsBelow(directory: string): number {
  const own = readPairs(`${directory}/memory.oom_control`).get('oom_kill') ?? 0;
  return listGroups(directory).reduce((sum, child) => sum + oomKillsBelow(`${directory}/${child}`), own);
}

function writeLimits(directory: string, { softBytes, hardBytes, swapBytes = 0 }: MemoryLimits, raising = false): void {
  const hard = hardBytes === Infinity ? -1 : hardBytes;
  const both = hardBytes + swapBytes === Infinity ? -1 : hardBytes + swapBytes;
  if (raising) writeControlIfPresent(`${directory}/memory.memsw.limit_in_bytes`, both);
  if (raising || hard !== -1) writeControl(`${directory}/memory.limit_in_bytes`, hard);
  if (!raising && both !== -1) writeControlIfPresent(`${directory}/memory.memsw.limit_in_bytes`, both);
  writeControl(`${directory}/memory.soft_limit_in_bytes`, softBytes);
}
