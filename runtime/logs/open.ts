/**
 * Opens a file of a sandbox for reading. The sandbox belongs to the task's user, the reader is root: a link must not lead it to other files,
 * and a pipe must not hang it.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

/** `previous`: of the run before the last restart in place. */
export type LogFile = 'stdout' | 'stderr' | 'stdout.previous' | 'stderr.previous';

export interface OpenLog {
  handle: FileHandle;
  /** 0 is the current file, 1 the youngest rotated one: when it was opened. */
  index: number;
  inode: bigint;
  size: number;
  modifiedMs: number;
}

/** undefined when there is no such regular file. `index` 0 is the current file, 1 the youngest rotated one. */
export async function openLogFile(sandbox: string, file: LogFile, index: number): Promise<OpenLog | undefined> {
  const opened = await openSandboxFile(sandbox, index === 0 ? file : `${file}.${index}`);
  return opened && { ...opened, index };
}

/** undefined when there is no regular file of that name. */
export async function openSandboxFile(sandbox: string, name: string): Promise<Omit<OpenLog, 'index'> | undefined> {
  const path = join(sandbox, name);
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    // ELOOP: a link; ENXIO: a pipe or socket. To the reader they are no log.
    if (['ENOENT', 'ELOOP', 'ENXIO', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  try {
    const status = await handle.stat({ bigint: true });
    if (status.isFile()) {
      return { handle, inode: status.ino, size: Number(status.size), modifiedMs: Number(status.mtimeMs) };
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return undefined;
}
