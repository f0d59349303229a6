/** Files that a task names: only regular ones, and only below the directories that the operator allows. */
import { constants } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { SourceFailed } from '../image-source.ts';

/** `allowed` undefined: anywhere. What was opened is judged, not the path: links may be swapped at any time. */
export async function openAllowed(path: string, allowed: string[] | undefined): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY).catch(
    (error: NodeJS.ErrnoException) => {
      const notFound = error.code === 'ENOENT' || error.code === 'ENOTDIR';
      throw new SourceFailed(notFound ? `there is no ${path}` : `${path} cannot be opened: ${error.message}`, {
        notFound,
      });
    },
  );
  try {
    if (allowed !== undefined) {
      const real = await readlink(`/proc/self/fd/${file.fd}`);
      if (!allowed.some((directory) => isBelow(real, directory)))
        throw new SourceFailed(`this agent does not allow ${path} (Agent spec.isolation.allowedHostPaths)`);
    }
    if (!(await file.stat()).isFile()) throw new SourceFailed(`${path} is no regular file`);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function isBelow(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory.replace(/\/+$/, '')}/`);
}
