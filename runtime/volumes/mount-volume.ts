/** A volume that is a whole mount point: its root directory is the operator's and stays; only what is in it comes and goes. */
import { readdir } from 'node:fs/promises';
import { entryOf, openDirectory } from './anchored.ts';
import { isMountPoint } from './mounts.ts';
import { removeTree } from './remove-tree.ts';

/** Of ext file systems; fsck wants to find it. */
const KEPT = 'lost+found';
const PREFIX = '.removing-';

/** The disk is not there: what is at its path belongs to another file system. */
export class DiskNotMounted extends Error {
  override name = 'DiskNotMounted';
}

/** Gives the root directory to the volume's owner. Data that is there stays as it is. */
export async function ensureMountVolume(
  path: string,
  owner: { uid: number; gid: number; mode?: number },
): Promise<void> {
  await requireMounted(path);
  const directory = await openDirectory(path);
  try {
    await directory.chown(owner.uid, owner.gid);
    await directory.chmod(owner.mode ?? 0o755);
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes everything in it. Idempotent: what was cut short is finished. The root directory is root's again. */
export async function emptyMountVolume(path: string): Promise<void> {
  await requireMounted(path);
  const directory = await openDirectory(path);
  try {
    for (let names = await contentsOf(); names.length > 0; names = await contentsOf()) {
      for (const name of names) await removeTree(directory, name, PREFIX);
    }
    await directory.chown(0, 0);
    await directory.chmod(0o755);
    await directory.sync();
  } finally {
    await directory.close();
  }
  async function contentsOf(): Promise<Buffer[]> {
    return (await readdir(entryOf(directory, '.'), 'buffer')).filter((name) => name.toString('latin1') !== KEPT);
  }
}

async function requireMounted(path: string): Promise<void> {
  if (!(await isMountPoint(path))) throw new DiskNotMounted(`nothing is mounted at ${path}`);
}
