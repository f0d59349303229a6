/** Deleting a volume's data: only ever on an explicit request (DESIGN.md, invariant 4). */
import { randomBytes } from 'node:crypto';
import { type FileHandle, readdir, rename } from 'node:fs/promises';
import { entryOf, openDirectory, openEntry } from './anchored.ts';
import { unfinishedName } from './ensure.ts';
import { type VolumeIdentity, volumeSegments } from './location.ts';
import { removeTree } from './remove-tree.ts';

/**
 * Resolves when the data is gone for good. Idempotent: a volume that does not exist is gone; a removal that was cut short is finished. The
 * directory loses its name first, so it is never found half empty.
 */
export async function removeVolumeDirectory(identity: VolumeIdentity): Promise<void> {
  const [roles, role, id] = volumeSegments(identity);
  const opened: FileHandle[] = [];
  try {
    opened.push(await openDirectory(identity.root));
    for (const name of [roles, role]) opened.push(await openEntry(opened.at(-1)!, name));
    const parent = opened.at(-1)!;
    const prefix = `.removing-${id}-`;
    await rename(entryOf(parent, id), entryOf(parent, `${prefix}${randomBytes(6).toString('hex')}`)).catch(
      ignoreMissing,
    );
    await parent.sync();
    await removeTree(parent, unfinishedName(id), prefix);
    for (const name of await readdir(entryOf(parent, '.'))) {
      if (name.startsWith(prefix)) await removeTree(parent, name, prefix);
    }
    await parent.sync();
  } catch (error) {
    ignoreMissing(error as NodeJS.ErrnoException);
  } finally {
    for (const directory of opened) await directory.close();
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
