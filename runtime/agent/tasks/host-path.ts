/** hostPath volumes: files and directories of the machine, only below what the operator allows. */
import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { join, normalize, relative } from 'node:path';
import { ensureBelow, LeadsOutside } from './below.ts';
import { isBelow, MountInvalid } from './mount-invalid.ts';
import type { Source, TaskVolume } from './mounts.ts';

type HostPath = NonNullable<TaskVolume['hostPath']>;

const KINDS: Partial<Record<NonNullable<HostPath['type']>, [is: (found: Stats) => boolean, name: string]>> = {
  Directory: [(found) => found.isDirectory(), 'a directory'],
  DirectoryOrCreate: [(found) => found.isDirectory(), 'a directory'],
  File: [(found) => found.isFile(), 'a file'],
  FileOrCreate: [(found) => found.isFile(), 'a file'],
  Socket: [(found) => found.isSocket(), 'a socket'],
  CharDevice: [(found) => found.isCharacterDevice(), 'a character device'],
  BlockDevice: [(found) => found.isBlockDevice(), 'a block device'],
};

/** Rejects with MountInvalid: not allowed, missing, of another kind, or out of the allowed directory by a symbolic link. */
export async function hostPathSource(
  { path, type = 'Any' }: HostPath,
  name: string,
  allowedHostPaths: string[],
): Promise<Source> {
  const allowed = allowedHostPaths.find((directory) => isBelow(path, directory));
  if (allowed === undefined) throw new MountInvalid(`volume "${name}": this agent does not allow host path ${path}`);
  const below = relative(normalize(allowed), normalize(path));
  const missing = new MountInvalid(`volume "${name}": host path ${path} does not exist`);
  const outside = new MountInvalid(`volume "${name}": host path ${path} leads out of ${allowed}`);
  const root = await realpath(allowed).catch(() => {
    throw missing;
  });
  if (type === 'DirectoryOrCreate' || type === 'FileOrCreate') {
    await ensureBelow(root, below, { file: type === 'FileOrCreate' }).catch((error: unknown) => {
      throw error instanceof LeadsOutside ? outside : error;
    });
  }
  const real = await realpath(join(root, below)).catch(() => {
    throw missing;
  });
  if (!isBelow(real, root)) throw outside;
  const [is, kind] = KINDS[type] ?? [];
  if (is !== undefined && !is(await stat(real)))
    throw new MountInvalid(`volume "${name}": host path ${path} is not ${kind}`);
  return { root, below: relative(root, real) };
}
