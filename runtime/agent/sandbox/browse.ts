/** What is in a directory of a sandbox. */
import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { entryOf } from '../../volumes/anchored.ts';
import { openInSandbox } from './locate.ts';

/** A task can make more files than anybody wants to see. */
const MOST_ENTRIES = 10_000;
const AT_ONCE = 64;

export interface SandboxEntry {
  name: string;
  type: 'file' | 'directory' | 'symlink' | 'other';
  size: number;
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
  modifiedAt: string;
  /** Where a symbolic link leads, as it is written in it. */
  target?: string;
}

export interface SandboxListing {
  entries: SandboxEntry[];
  /** There are more. */
  truncated: boolean;
}

/** By name; of a file only itself. Rejects with SandboxPathRefused. */
export async function browseSandbox(sandbox: string, path: string): Promise<SandboxListing> {
  const { handle, status } = await openInSandbox(sandbox, path);
  try {
    if (!status.isDirectory()) return { entries: [describe(path.split('/').at(-1)!, status)], truncated: false };
    const names = (await readdir(entryOf(handle, '.'))).sort();
    const entries: SandboxEntry[] = [];
    for (let at = 0; at < Math.min(names.length, MOST_ENTRIES); at += AT_ONCE) {
      const some = names.slice(at, Math.min(at + AT_ONCE, MOST_ENTRIES));
      const read = await Promise.all(some.map((name) => look(name, entryOf(handle, name))));
      entries.push(...read.flat());
    }
    return { entries, truncated: names.length > MOST_ENTRIES };
  } finally {
    await handle.close();
  }
}

/** Nothing when it went meanwhile. */
async function look(name: string, path: string): Promise<SandboxEntry[]> {
  try {
    const entry = describe(name, await lstat(path));
    if (entry.type === 'symlink') entry.target = await readlink(path);
    return [entry];
  } catch (error) {
    if (['ENOENT', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

function describe(name: string, status: Stats): SandboxEntry {
  const { size, mode, uid, gid, mtime } = status;
  return { name, type: typeOf(status), size, mode: mode & 0o7777, uid, gid, modifiedAt: mtime.toISOString() };
}

export function typeOf(status: Stats): SandboxEntry['type'] {
  if (status.isFile()) return 'file';
  if (status.isDirectory()) return 'directory';
  return status.isSymbolicLink() ? 'symlink' : 'other';
}
