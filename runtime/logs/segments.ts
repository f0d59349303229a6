/** The files of one log from oldest to newest, opened, so that a rotation meanwhile cannot take any of them away. */
import { type LogFile, type OpenLog, openLogFile } from './open.ts';

/** As many as a log can keep; a task may put more files with such names into its sandbox. */
const mostRotated = 1_000;
/** A rotation takes microseconds. What still shows one file twice is a hard link of the task's. */
const mostAttempts = 10;

/** All files of the log. The caller closes them. Retried when a rotation happened during the listing. */
export async function openSegments(sandbox: string, file: LogFile): Promise<OpenLog[]> {
  for (let attempt = 1; ; attempt += 1) {
    const newestFirst: OpenLog[] = [];
    try {
      await openAll(sandbox, file, newestFirst);
    } catch (error) {
      await closeSegments(newestFirst);
      throw error;
    }
    // A rotation shows as one file under two names.
    const seen = new Set<bigint>();
    const repeated = newestFirst.filter(({ inode }) => seen.size === seen.add(inode).size);
    if (repeated.length > 0 && attempt < mostAttempts) {
      await closeSegments(newestFirst);
      continue;
    }
    await closeSegments(repeated);
    const oldestFirst = newestFirst.filter((segment) => !repeated.includes(segment)).reverse();
    // After many rotations in one listing the names do not tell the order any more: the times of the last writes do.
    return repeated.length > 0 ? oldestFirst.sort((a, b) => a.modifiedMs - b.modifiedMs) : oldestFirst;
  }
}

/** A handle that is forgotten ends the process when it is collected, so each one is closed on every way out. */
export async function closeSegments(segments: OpenLog[]): Promise<void> {
  await Promise.all(segments.map(({ handle }) => handle.close()));
}

async function openAll(sandbox: string, file: LogFile, into: OpenLog[]): Promise<void> {
  let missing = 0;
  for (let index = 0; index <= mostRotated; index += 1) {
    const segment = await openLogFile(sandbox, file, index);
    if (segment !== undefined) into.push(segment);
    missing = segment === undefined ? missing + 1 : 0;
    // Between two renames of a rotation one name is missing, and older ones are behind it.
    if (missing === 2) return;
  }
}
