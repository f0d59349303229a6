/**
 * Opens what a path names below a sandbox. The sandbox belongs to the task's user and the reader is root: no symbolic link is followed, not in
 * the middle and not at the end, and nothing is opened that is neither file nor directory.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { entryOf, openDirectory, openEntry } from '../../volumes/anchored.ts';

/** Linux's O_PATH, which Node does not name: the file itself, opened for nothing. */
const O_PATH = 0o10000000;

export class SandboxPathRefused extends Error {
  override name = 'SandboxPathRefused';
  /** As HTTP has it: 404 missing, 403 a link or something special, 400 malformed. */
  readonly status: 400 | 403 | 404;

  constructor(status: 400 | 403 | 404, message: string) {
    super(message);
    this.status = status;
  }
}

export interface Located {
  /** For reading; the caller closes it. */
  handle: FileHandle;
  status: Stats;
}

/** `path` is relative to the sandbox (a leading `/` is ignored); empty is the sandbox itself. Rejects with SandboxPathRefused. */
export async function openInSandbox(sandbox: string, path: string): Promise<Located> {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || path.includes('\0')) throw new SandboxPathRefused(400, 'path: must not contain ".."');
  try {
    let directory = await openDirectory(sandbox);
    try {
      for (const part of parts.slice(0, -1)) {
        const next = await openEntry(directory, part);
        await directory.close();
        directory = next;
      }
      return await openChild(directory, parts.at(-1) ?? '.', path);
    } finally {
      await directory.close();
    }
  } catch (error) {
    throw refusal(error, path);
  }
}

/** Opens one entry of an open directory for reading, if it is a file or a directory. */
export async function openChild(directory: FileHandle, name: string, shown: string): Promise<Located> {
  const found = await open(entryOf(directory, name), O_PATH | constants.O_NOFOLLOW);
  try {
    const status = await found.stat();
    if (status.isSymbolicLink())
      throw new SandboxPathRefused(403, `${shown} is a symbolic link: name what it leads to`);
    if (!status.isFile() && !status.isDirectory())
      throw new SandboxPathRefused(403, `${shown} is neither a file nor a directory`);
    return { handle: await open(`/proc/self/fd/${found.fd}`, constants.O_RDONLY | constants.O_NONBLOCK), status };
  } finally {
    await found.close();
  }
}

function refusal(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return new SandboxPathRefused(404, `${path || 'the sandbox'} does not exist`);
  // A link or a file where a directory was to be.
  if (code === 'ELOOP' || code === 'ENOTDIR')
    return new SandboxPathRefused(403, `a part of ${path} is no directory (symbolic links are not followed)`);
  return error;
}
