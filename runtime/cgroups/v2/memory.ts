/** cgroup v2 memory: memory.low for the request, memory.max for the limit, memory.swap.max beside it, OOM ends the whole group. */
import { existsSync } from 'node:fs';
import { LimitBelowUse, type MemoryController, type MemoryLimits } from '../driver.ts';
import { readNumber, readPairs, writeControl, writeControlIfPresent } from '../files.ts';
import type { MemoryProtection } from './protection.ts';

export function createMemoryController(
  directoryOf: (id: string) => string,
  protection: MemoryProtection,
  rootDirectory: string,
): MemoryController {
  const writeLimits = (id: string, { softBytes, hardBytes, swapBytes = 0 }: MemoryLimits) => {
    writeControlIfPresent(`${directoryOf(id)}/memory.swap.max`, swapBytes === Infinity ? 'max' : swapBytes);
    writeControl(`${directoryOf(id)}/memory.max`, hardBytes === Infinity ? 'max' : hardBytes);
    writeControl(`${directoryOf(id)}/memory.low`, softBytes);
    protection.set(id, softBytes);
  };
  return {
    killsWholeGroup: true,
    get limitsSwap() {
      return existsSync(`${rootDirectory}/memory.swap.max`);
    },

    limit(id, limits) {
      const directory = directoryOf(id);
      writeControl(`${directory}/memory.oom.group`, 1);
      writeLimits(id, limits);
    },

    update(id, limits) {
      const directory = directoryOf(id);
      const used = readNumber(`${directory}/memory.current`) ?? 0;
      // Writing less than the use to memory.max makes the kernel kill the container there and then.
      if (limits.hardBytes < used) throw new LimitBelowUse(limits.hardBytes, used);
      writeLimits(id, limits);
    },

    usage(id) {
      const directory = directoryOf(id);
      const stat = readPairs(`${directory}/memory.stat`);
      return {
        totalBytes: readNumber(`${directory}/memory.current`) ?? 0,
        rssBytes: stat.get('anon') ?? 0,
        cacheBytes: stat.get('file') ?? 0,
        limitBytes: readNumber(`${directory}/memory.max`),
        peakBytes: readNumber(`${directory}/memory.peak`),
        swapBytes: readNumber(`${directory}/memory.swap.current`),
      };
    },

    oomKills(id) {
      return readPairs(`${directoryOf(id)}/memory.events`).get('oom_kill') ?? 0;
    },
  };
}
