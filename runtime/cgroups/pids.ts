/** The pids controller, whose files are the same in v1 and v2. */
import type { PidsController } from './driver.ts';
import { readNumber, writeControl } from './files.ts';

export function createPidsController(directoryOf: (id: string) => string): PidsController {
  return {
    limit(id, max) {
      // The kernel refuses 0 for a group that is to hold a process.
      writeControl(`${directoryOf(id)}/pids.max`, max === Infinity ? 'max' : Math.max(1, max));
    },
    usage: (id) => readNumber(`${directoryOf(id)}/pids.current`) ?? 0,
  };
}
