/** Removing a directory that a task filled: with links to anywhere, names of any bytes, and nested deeper than paths are long or files can be open. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { entryOf, openEntry } from './anchored.ts';

/** What is deeper is moved up first. Each level holds a descriptor. */
const deepest = 64;

/**
 * Removes an entry of `directory` without ever following a symbolic link, whatever is done to it meanwhile. Deep parts of it are put beside
 * it under names that begin with `prefix`: after a crash, those are left. What does not exist is gone.
 */
export async function removeTree(directory: FileHandle, name: string | Buffer, prefix: string): Promise<void> {
  const pending = [name];
  const remove = async (parent: FileHandle, child: string | Buffer, depth: number): Promise<void> => {
    const path = entryOf(parent, child);
    if (await removeFile(path)) return;
    if (depth === deepest) {
      const moved = `${prefix}${randomBytes(6).toString('hex')}`;
      await rename(path, entryOf(directory, moved));
      pending.push(moved);
      return;
    }
    const opened = await openEntry(parent, child);
    try {
      for (const entry of await readdir(entryOf(opened, '.'), 'buffer')) await remove(opened, entry, depth + 1);
    } finally {
      await opened.close();
    }
    await rmdir(path);
  };
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) await remove(directory, next, 0);
}

/** false: it is a directory. */
async function removeFile(path: string | Buffer): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    // EPERM is what POSIX says for a directory, EISDIR what Linux does.
    if (code === 'EISDIR' || code === 'EPERM') return false;
    throw error;
  }
}
