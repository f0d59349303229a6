/**
 * A directory of files that is replaced as a whole, as Kubernetes lays out Secrets and ConfigMaps: the files are in `..<random>`, `..data`
 * links to that, and each name at the top links through `..data`. A change makes a new directory and renames a new `..data` over the old
 * one: whoever reads sees all old files or all new ones.
 */
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface ProjectedFile {
  /** Relative, without `..`, and no part of it begins with `..`. */
  path: string;
  content: Uint8Array;
  mode: number;
}

/** The files cannot be laid out. The message names the path. */
export class ProjectionInvalid extends Error {
  override name = 'ProjectionInvalid';
}

const LINK = '..data';

/**
 * Makes the directory say exactly `files`; resolves to whether anything changed. The directory belongs to root and is on a file system in
 * memory; calls for one directory come one after the other. What a call that was cut short left is removed by the next one.
 */
export async function writeProjection(
  directory: string,
  files: ProjectedFile[],
  owner: { uid: number; gid: number },
): Promise<boolean> {
  checkPaths(files);
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const current = await readlink(join(directory, LINK)).catch(() => undefined);
  const changed = current === undefined || !(await holds(join(directory, current), files, owner));
  const version = changed ? await writeVersion(directory, files, owner) : current;
  if (changed) {
    const link = join(directory, `${LINK}.new`);
    await rm(link, { force: true });
    await symlink(version, link);
    await rename(link, join(directory, LINK));
  }
  await linkNames(directory, files);
  for (const name of await readdir(directory)) {
    if (name.startsWith('..') && name !== LINK && name !== version)
      await rm(join(directory, name), { recursive: true, force: true });
  }
  return changed;
}

async function writeVersion(
  directory: string,
  files: ProjectedFile[],
  { uid, gid }: { uid: number; gid: number },
): Promise<string> {
  const version = `..${randomBytes(8).toString('hex')}`;
  const base = join(directory, version);
  await mkdir(base, { mode: 0o755 });
  await chmod(base, 0o755);
  for (const { path, content, mode } of files) {
    const file = join(base, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, content, { mode: 0o600, flag: 'wx' });
    await chown(file, uid, gid);
    // Last: a change of owner takes setuid and setgid away.
    await chmod(file, mode);
  }
  return version;
}

/** New names appear after their files, old ones go when nothing is behind them any more. */
async function linkNames(directory: string, files: ProjectedFile[]): Promise<void> {
  const wanted = new Set(files.map(({ path }) => path.split('/')[0]!));
  for (const name of await readdir(directory)) {
    if (!name.startsWith('..') && !wanted.delete(name)) await rm(join(directory, name), { force: true });
  }
  for (const name of wanted) await symlink(join(LINK, name), join(directory, name));
}

async function holds(base: string, files: ProjectedFile[], owner: { uid: number; gid: number }): Promise<boolean> {
  try {
    const found = await readdir(base, { recursive: true, withFileTypes: true });
    if (found.filter((entry) => !entry.isDirectory()).length !== files.length) return false;
    for (const { path, content, mode } of files) {
      const file = join(base, path);
      const stat = await lstat(file);
      if (stat.uid !== owner.uid || stat.gid !== owner.gid || (stat.mode & 0o7777) !== mode) return false;
      if (!(await readFile(file)).equals(content)) return false;
    }
    return true;
  } catch {
    return false;
  }
}

function checkPaths(files: ProjectedFile[]): void {
  const seen = new Set<string>();
  for (const { path } of files) {
    const parts = path.split('/');
    if (path.startsWith('/') || parts.some((part) => part === '' || part === '.' || part.startsWith('..')))
      throw new ProjectionInvalid(`"${path}" cannot be the path of a file in a volume`);
    if (seen.has(path)) throw new ProjectionInvalid(`two files of a volume have the path "${path}"`);
    seen.add(path);
  }
  for (const path of seen) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
      if (seen.has(parent)) throw new ProjectionInvalid(`"${parent}" cannot be a file and the directory of "${path}"`);
    }
  }
}
