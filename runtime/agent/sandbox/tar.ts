/** A directory of a sandbox as a tar stream: files, directories and links as they are; no link is followed, and special files are left out. */
import type { Stats } from 'node:fs';
import { type FileHandle, lstat, readdir, readlink } from 'node:fs/promises';
import { type Pack, pack } from 'tar-stream';
import { entryOf } from '../../volumes/anchored.ts';
import { openChild, SandboxPathRefused } from './locate.ts';

/** Each level holds a descriptor. */
const deepest = 256;
const CHUNK = 64 * 1024;

/** Closes the handle when it is done. A file that changes meanwhile has the size that it had when its turn came. */
export function tarOf(directory: FileHandle): Pack {
  const archive = pack();
  addDirectory(archive, directory, '', 0)
    .then(() => archive.finalize())
    .catch((error: Error) => archive.destroy(error))
    .finally(() => directory.close());
  return archive;
}

async function addDirectory(archive: Pack, directory: FileHandle, prefix: string, depth: number): Promise<void> {
  if (depth > deepest) throw new SandboxPathRefused(403, `${prefix} is nested more than ${deepest} directories deep`);
  for (const name of (await readdir(entryOf(directory, '.'))).sort()) {
    if (archive.destroyed) return;
    await addEntry(archive, directory, name, prefix === '' ? name : `${prefix}/${name}`, depth).catch(
      (error: unknown) => {
        // It went, or became a link or something special, between the look and the opening.
        const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SandboxPathRefused;
        if (!isGone || depth === deepest) throw error;
      },
    );
  }
}

async function addEntry(archive: Pack, parent: FileHandle, name: string, path: string, depth: number): Promise<void> {
  const look = await lstat(entryOf(parent, name));
  if (look.isSymbolicLink()) {
    const linkname = await readlink(entryOf(parent, name));
    return add(archive, { ...common(path, look), type: 'symlink', linkname });
  }
  if (!look.isFile() && !look.isDirectory()) return;
  const { handle, status } = await openChild(parent, name, path);
  try {
    if (status.isFile()) return await addFile(archive, handle, path, status);
    await add(archive, { ...common(`${path}/`, status), type: 'directory' });
    await addDirectory(archive, handle, path, depth + 1);
  } finally {
    await handle.close();
  }
}

async function addFile(archive: Pack, handle: FileHandle, path: string, status: Stats): Promise<void> {
  let left = status.size;
  const done = Promise.withResolvers<void>();
  const entry = archive.entry({ ...common(path, status), size: left, type: 'file' }, (error) =>
    error ? done.reject(error) : done.resolve(),
  );
  done.promise.catch(() => {});
  while (left > 0 && !archive.destroyed) {
    const buffer = Buffer.alloc(Math.min(CHUNK, left));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length);
    // It was truncated meanwhile: the rest of what was announced is zeros.
    const piece = bytesRead === 0 ? buffer : buffer.subarray(0, bytesRead);
    left -= piece.length;
    if (!entry.write(piece))
      await new Promise<void>((resolve) => {
        entry.once('drain', () => resolve());
        archive.once('close', () => resolve());
      });
  }
  entry.end(undefined);
  if (!archive.destroyed) await done.promise;
}

function add(archive: Pack, header: Parameters<Pack['entry']>[0]): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry(header, (error) => (error ? reject(error) : resolve()));
  });
}

function common(name: string, { mode, uid, gid, mtime }: Stats) {
  return { name, mode: mode & 0o7777, uid, gid, mtime };
}
