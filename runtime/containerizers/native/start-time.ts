import { readFileSync } from 'node:fs';

/** USER_HZ: the same on every architecture that Linux supports today. */
const ticksPerSecond = 100;

/** Wall-clock time of a process start given in ticks since boot (field 22 of /proc/<pid>/stat). */
export function startTime(startTimeTicks: number): Date {
  const bootSeconds = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? 0);
  return new Date(bootSeconds * 1000 + (startTimeTicks * 1000) / ticksPerSecond);
}

/** Ticks since boot; undefined when there is no such process. */
export function startTimeOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command's name may hold anything: fields are counted behind its last parenthesis.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return undefined;
  }
}
