/**
 * Unpacks a tar stream that a container or its agent sent, without trusting it: every part of a path is opened without following links, from the directory
 * down; what is there is replaced and never written through; links that would lead out of the directory are left out, as are special files.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rename, symlink, unlink } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import { entryOf, openEntry } from '../../runtime/volumes/anchored.ts';
import { CliError } from '../exit-codes.ts';

export interface ExtractOptions {
  /** What the first part of every path becomes. Default: paths are taken as they are. */
  rename?: string;
  /** Called with the bytes that have come so far. */
  onProgress?(bytes: number): void;
}

export interface Extracted {
  files: number;
  bytes: number;
  /** `path: reason` of what was left out. */
  leftOut: string[];
}

/** `directory` exists; it is the only path that is followed. Rejects with a CliError for an archive that means harm. */
export async function extractTar(
  archive: Readable,
  directory: string,
  options: ExtractOptions = {},
): Promise<Extracted> {
  const root = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  const result: Extracted = { files: 0, bytes: 0, leftOut: [] };
  const directories: { parts: string[]; mode: number; mtime: Date }[] = [];
  try {
    const entries = extract();
    archive.on('error', (error) => entries.destroy(error));
    archive.pipe(entries);
    for await (const entry of entries) {
      const { header } = entry;
      const parts = partsOf(header.name, options.rename);
      if (header.type === 'directory')
        directories.push({ parts, mode: header.mode ?? 0o755, mtime: header.mtime ?? new Date() });
      const reason = await make(root, parts, header, entry as unknown as Readable, (bytes) => {
        result.bytes += bytes;
        options.onProgress?.(result.bytes);
      });
      if (reason !== undefined) result.leftOut.push(`${parts.join('/')}: ${reason}`);
      else if (header.type !== 'directory') result.files += 1;
      entry.resume();
    }
    // When everything is in them: some may not be written to by anybody, and a time changes with each entry.
    for (const { parts, mode, mtime } of directories.reverse()) {
      await inside(root, parts, async (made) => {
        await made.chmod(mode & 0o777);
        await made.utimes(mtime, mtime);
      });
    }
    return result;
  } finally {
    await root.close();
  }
}

/** Throws for a path that would lead elsewhere. */
function partsOf(name: string, renamed: string | undefined): string[] {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (name.startsWith('/') || parts.includes('..') || name.includes('\0') || parts.length === 0)
    throw new CliError(`the archive has a path that leads elsewhere: ${JSON.stringify(name)}`);
  return renamed === undefined ? parts : [renamed, ...parts.slice(1)];
}

/** Why it was left out; undefined when it was made. */
async function make(
  root: FileHandle,
  parts: string[],
  header: Header,
  content: Readable,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  const name = parts.at(-1)!;
  return inside(root, parts.slice(0, -1), async (parent) => {
    switch (header.type) {
      case 'directory':
        await makeDirectory(parent, name);
        return undefined;
      case 'file':
      case 'contiguous-file':
        await writeFile(parent, name, header, content, onBytes);
        return undefined;
      case 'symlink': {
        const target = header.linkname ?? '';
        if (leadsOut(parts, target)) return `a link to ${JSON.stringify(target)}, which is outside`;
        await unlink(entryOf(parent, name)).catch(ignoreMissing);
        await symlink(target, entryOf(parent, name));
        return undefined;
      }
      default:
        return `a ${header.type}`;
    }
  });
}

/** Whether a link, seen from where it is, leads above the first part of its path. */
function leadsOut(parts: string[], target: string): boolean {
  if (target === '' || posix.isAbsolute(target)) return true;
  const resolved = posix.normalize(posix.join(...parts.slice(0, -1), target));
  const first = parts.length > 1 ? parts[0]! : undefined;
  return resolved.startsWith('..') || (first !== undefined && resolved !== first && !resolved.startsWith(`${first}/`));
}

async function makeDirectory(parent: FileHandle, name: string): Promise<void> {
  try {
    await mkdir(entryOf(parent, name), { mode: 0o700 });
  } catch (error) {
    const isDirectory =
      (error as NodeJS.ErrnoException).code === 'EEXIST' && (await lstat(entryOf(parent, name))).isDirectory();
    if (!isDirectory) throw error;
  }
}

async function writeFile(
  parent: FileHandle,
  name: string,
  { mode = 0o644, mtime = new Date() }: Header,
  content: Readable,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const temporary = `.tepui-cp-${randomBytes(6).toString('hex')}`;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(entryOf(parent, temporary), flags, 0o600);
  try {
    for await (const chunk of content) {
      await file.writeFile(chunk as Buffer);
      onBytes((chunk as Buffer).length);
    }
    // Not the bits by which a program would run as its owner: the owner is another one here.
    await file.chmod(mode & 0o777);
    await file.utimes(mtime, mtime);
    await rename(entryOf(parent, temporary), entryOf(parent, name));
  } catch (error) {
    await unlink(entryOf(parent, temporary)).catch(ignoreMissing);
    throw error;
  } finally {
    await file.close();
  }
}

/** Calls with the open directory, making what is missing of the way to it. */
async function inside<T>(root: FileHandle, parts: string[], work: (directory: FileHandle) => Promise<T>): Promise<T> {
  let directory = root;
  try {
    for (const part of parts) {
      await mkdir(entryOf(directory, part)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      const next = await openEntry(directory, part).catch((cause: NodeJS.ErrnoException) => {
        throw new CliError(`${parts.join('/')}: ${part} is no directory (links are not followed)`, 1, { cause });
      });
      if (directory !== root) await directory.close();
      directory = next;
    }
    return await work(directory);
  } finally {
    if (directory !== root) await directory.close();
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
