/** Pressure stall information of one v2 group: how much of the time some, or all, of its processes waited for a resource. */
import { readControl } from './files.ts';

/** Shares of time in percent over 10, 60 and 300 seconds, and the sum since the group was made. */
export interface PressureLine {
  avg10: number;
  avg60: number;
  avg300: number;
  totalSeconds: number;
}

export interface Pressure {
  /** At least one process waited. */
  some: PressureLine;
  /** None could go on. Not there for `cpu` on older kernels. */
  full?: PressureLine;
}

/** undefined where the kernel does not count it (`psi=0`, or `cgroup.pressure` is 0), or the group is gone. */
export function readPressure(directory: string, resource: 'cpu' | 'memory' | 'io'): Pressure | undefined {
  const text = readControl(`${directory}/${resource}.pressure`);
  const some = parseLine(text, 'some');
  const full = parseLine(text, 'full');
  return some && { some, ...(full && { full }) };
}

function parseLine(text: string | undefined, kind: 'some' | 'full'): PressureLine | undefined {
  const found = new RegExp(`^${kind} avg10=(\\S+) avg60=(\\S+) avg300=(\\S+) total=(\\d+)$`, 'm').exec(text ?? '');
  if (!found) return undefined;
  const [, avg10, avg60, avg300, total] = found.map(Number) as [number, number, number, number, number];
  return { avg10, avg60, avg300, totalSeconds: total / 1e6 };
}
