/** Packs local files into a tar stream. Links are packed as links; nothing but the path that was asked for is followed. */
import { constants, type Stats } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';

/** Its paths begin with `name`. `leftOut` is complete when the stream has ended. */
export function createTar(path: string, name: string): { archive: Pack; leftOut: string[] } {
  const archive = pack();
  const leftOut: string[] = [];
  add(archive, path, name, leftOut)
    .then(() => archive.finalize())
    .catch((error: Error) => archive.destroy(error));
  return { archive, leftOut };
}

async function add(archive: Pack, path: string, name: string, leftOut: string[], isTop = true): Promise<void> {
  if (archive.destroyed) return;
  const status = await lstat(path);
  if (status.isSymbolicLink() && !isTop) {
    const linkname = await readlink(path);
    return addHeader(archive, { ...common(name, status), type: 'symlink', linkname });
  }
  if (!isTop && !status.isFile() && !status.isDirectory())
    return void leftOut.push(`${path}: neither a file, a directory nor a link`);
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | (isTop ? 0 : constants.O_NOFOLLOW));
  try {
    const opened = await handle.stat();
    if (opened.isDirectory()) {
      await addHeader(archive, { ...common(`${name}/`, opened), type: 'directory' });
      for (const child of (await readdir(path)).sort())
        await add(archive, join(path, child), `${name}/${child}`, leftOut, false);
    } else if (opened.isFile()) {
      await addFile(archive, handle, name, opened);
    } else {
      leftOut.push(`${path}: neither a file nor a directory`);
    }
  } finally {
    await handle.close().catch(() => {});
  }
}

/** Exactly as many bytes as it had when it was looked at: one that shrinks meanwhile breaks the copy. */
async function addFile(
  archive: Pack,
  handle: Awaited<ReturnType<typeof open>>,
  name: string,
  status: Stats,
): Promise<void> {
  const entry = archive.entry({ ...common(name, status), size: status.size, type: 'file' });
  if (status.size === 0) return void entry.end(undefined);
  await pipeline(handle.createReadStream({ start: 0, end: status.size - 1, autoClose: false }), entry);
}

function addHeader(archive: Pack, header: Parameters<Pack['entry']>[0]): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry(header, (error) => (error ? reject(error) : resolve()));
  });
}

function common(name: string, { mode, mtime }: Stats) {
  return { name, mode: mode & 0o777, mtime };
}
