/** Making directories below one in which somebody else may rename and link as he likes, without ever working outside of it. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, opendir, realpath, rename, rmdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { entryOf, openDirectory, openEntry } from '../../volumes/anchored.ts';

/** The path leads out of its root by a symbolic link. */
export class LeadsOutside extends Error {
  override name = 'LeadsOutside';
}

/** As the kernel bounds them. */
const mostLinks = 40;
/** Of this process; what has another one's, and is not of this moment, was left by an agent that was killed. */
const unfinished = `.tepui-${randomUUID()}`;
const anyUnfinished = /^\.tepui-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-\d+)?$/;
/** A volume may have any number of entries, and a launch waits. */
const mostLooked = 1000;
/** Another agent may be making one beside us: it takes it milliseconds. */
const abandonedMs = 60_000;
let made = 0;

export interface EnsureOptions {
  /** Of what is made; default root. */
  owner?: { uid: number; gid: number };
  /** Of the last directory, when it is made now. Default 0755. */
  mode?: number;
  /** The last part is made as an empty file instead of a directory. */
  file?: boolean;
}

/**
 * Makes what is missing of `root/below` (the root exists, and is a real path) and resolves to its real path. Links are followed as long as they stay below the
 * root. The last part may be an existing file.
 */
export function ensureBelow(root: string, below: string, options: EnsureOptions = {}): Promise<string> {
  // One after the other: of two that make the same directory the second would take the place of the first's, in which that one goes on.
  const before = underWay.get(root) ?? Promise.resolve();
  const done = before.then(() => ensure(root, below, options));
  const settled = done.then(
    () => {},
    () => {},
  );
  underWay.set(root, settled);
  void settled.then(() => underWay.get(root) === settled && underWay.delete(root));
  return done;
}

/** The last that was begun below each root. */
const underWay = new Map<string, Promise<void>>();

async function ensure(root: string, below: string, options: EnsureOptions): Promise<string> {
  let parts = partsOf(below);
  for (let links = 0; links < mostLinks; links++) {
    const link = await walk(root, parts, options);
    if (link === undefined) return join(root, ...parts);
    // From the start again, along the real path: whatever was swapped meanwhile is met as a link once more.
    const real = await realpath(join(root, ...parts.slice(0, link + 1))).catch(() => undefined);
    if (real === undefined || (real !== root && !real.startsWith(root === '/' ? '/' : `${root}/`)))
      throw new LeadsOutside();
    parts = [...partsOf(relative(root, real)), ...parts.slice(link + 1)];
  }
  throw new LeadsOutside();
}

/** The index of the part that is a symbolic link; undefined when there is none and everything exists. */
async function walk(root: string, parts: string[], { owner, mode, file }: EnsureOptions): Promise<number | undefined> {
  let directory = await openDirectory(root);
  try {
    for (const [index, name] of parts.entries()) {
      const place = entryOf(directory, name);
      const isLast = index === parts.length - 1;
      if (isLast && file) {
        await makeFile(place, owner);
        return (await lstat(place)).isSymbolicLink() ? index : undefined;
      }
      await makeDirectory(directory, name, { owner, ...(isLast && { mode }) });
      let next: FileHandle;
      try {
        next = await openEntry(directory, name);
      } catch (error) {
        if (!['ELOOP', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
        if ((await lstat(place)).isSymbolicLink()) return index;
        if (isLast) return undefined;
        throw error;
      }
      await directory.close();
      directory = next;
    }
    return undefined;
  } finally {
    await directory.close();
  }
}

/**
 * An existing one, of whatever kind, is left as it is. A new one gets its name when it has its owner and mode: an agent that is killed in between
 * must not leave a directory behind that its user may not write to.
 */
async function makeDirectory(
  directory: FileHandle,
  name: string,
  { owner, mode = 0o755 }: EnsureOptions,
): Promise<void> {
  const place = entryOf(directory, name);
  if (await lstat(place).then(() => true, isMissing)) return;
  await removeUnfinished(directory);
  made += 1;
  const temporary = `${unfinished}-${made}`;
  await mkdir(entryOf(directory, temporary), { mode: 0o700 });
  try {
    const opened = await openEntry(directory, temporary);
    try {
      if (owner !== undefined) await opened.chown(owner.uid, owner.gid);
      // After the change of owner, and whatever the umask is.
      await opened.chmod(mode);
    } finally {
      await opened.close();
    }
    await rename(entryOf(directory, temporary), place);
  } catch (error) {
    await rmdir(entryOf(directory, temporary)).catch(() => {});
    // Somebody was quicker.
    if (!['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Empty ones only: nothing of anybody's is lost. */
async function removeUnfinished(directory: FileHandle): Promise<void> {
  let looked = 0;
  for await (const { name } of await opendir(entryOf(directory, '.'))) {
    looked += 1;
    if (looked > mostLooked) return;
    if (!anyUnfinished.test(name) || name.startsWith(unfinished)) continue;
    const left = entryOf(directory, name);
    const found = await lstat(left).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > abandonedMs) await rmdir(left).catch(() => {});
  }
}

function isMissing(error: NodeJS.ErrnoException): false {
  if (error.code !== 'ENOENT') throw error;
  return false;
}

/** An existing one, of whatever kind, is left as it is. */
async function makeFile(place: string, owner: EnsureOptions['owner']): Promise<void> {
  try {
    const made = await open(
      place,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o644,
    );
    if (owner !== undefined) await made.chown(owner.uid, owner.gid);
    await made.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Throws LeadsOutside: `..` of a directory that somebody moves leads anywhere. */
function partsOf(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new LeadsOutside();
  return parts;
}
