/** The files of one log from oldest to newest, opened, so that a rotation meanwhile cannot take any of them away. */
import { type LogFile, type OpenLog, openLogFile } from './open.ts';

/** All files of the log. The caller closes them. Retried when a rotation happened during the listing. */
export async function openSegments(sandbox: string, file: LogFile): Promise<OpenLog[]> {
  for (;;) {
    const newestFirst: OpenLog[] = [];
    try {
      await openAll(sandbox, file, newestFirst);
    } catch (error) {
      await closeSegments(newestFirst);
      throw error;
    }
    // A rotation shows as one file under two names.
    if (new Set(newestFirst.map(({ inode }) => inode)).size === newestFirst.length) return newestFirst.reverse();
    await closeSegments(newestFirst);
  }
}

/** A handle that is forgotten ends the process when it is collected, so each one is closed on every way out. */
export async function closeSegments(segments: OpenLog[]): Promise<void> {
  await Promise.all(segments.map(({ handle }) => handle.close()));
}

async function openAll(sandbox: string, file: LogFile, into: OpenLog[]): Promise<void> {
  for (let index = 0; ; index += 1) {
    const segment = await openLogFile(sandbox, file, index);
    if (segment !== undefined) into.push(segment);
    else if (index > 0) return;
  }
}
