/** Reading and writing cgroup control files. */
import { closeSync, constants, openSync, readFileSync, rmdirSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Writes a value; the error names the file and the value, which the kernel's `EINVAL` does not. */
export function writeControl(file: string, value: string | number): void {
  try {
    writeFileSync(file, String(value));
  } catch (cause) {
    throw new Error(`cannot write ${value} to ${file}: ${errorCode(cause)}`, { cause });
  }
}

/** Writes where the kernel has such a file (swap accounting may be off), and says whether it has. */
export function writeControlIfPresent(file: string, value: string | number): boolean {
  try {
    const fd = openSync(file, constants.O_WRONLY | constants.O_TRUNC);
    try {
      writeSync(fd, String(value));
    } finally {
      closeSync(fd);
    }
    return true;
  } catch (cause) {
    // EOPNOTSUPP: the file is there, the feature is compiled or switched off.
    if (['ENOENT', 'EOPNOTSUPP', 'ENOTSUP'].includes(errorCode(cause))) return false;
    throw new Error(`cannot write ${value} to ${file}: ${errorCode(cause)}`, { cause });
  }
}

/** A number; undefined when the file is absent or says `max`, or (v1) a number too large to be a limit. */
export function readNumber(file: string): number | undefined {
  const text = readControl(file)?.trim();
  if (text === undefined || text === '' || text === 'max') return undefined;
  const value = Number(text);
  return value >= 2 ** 62 ? undefined : value;
}

/** Files of `key value` lines: memory.stat, cpu.stat, memory.events. */
export function readPairs(file: string): Map<string, number> {
  const pairs = new Map<string, number>();
  for (const line of readControl(file)?.split('\n') ?? []) {
    const space = line.lastIndexOf(' ');
    if (space > 0) pairs.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return pairs;
}

/** Process ids, one per line; none when the group is gone. */
export function readPids(file: string): number[] {
  return readControl(file)?.split('\n').filter(Boolean).map(Number) ?? [];
}

export function readControl(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // ENODEV: the group was removed between open and read.
    if (['ENOENT', 'ENODEV', 'EOPNOTSUPP', 'ENOTSUP'].includes(errorCode(error))) return undefined;
    throw error;
  }
}

/**
 * Removes an empty group. A process counts until it is reaped, also after SIGKILL, so EBUSY is retried: first at once, then with
 * growing pauses. Throws when somebody is still in it at the end.
 */
export async function removeGroup(directory: string, deadlineMs = 5000): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (let pause = 1; ; pause = Math.min(pause * 2, 100)) {
    try {
      rmdirSync(directory);
      return;
    } catch (cause) {
      const code = errorCode(cause);
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY' || Date.now() > deadline) {
        throw new Error(`cannot remove cgroup ${directory}: ${code}`, { cause });
      }
    }
    await delay(pause);
  }
}

export function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException)?.code ?? String(error);
}
