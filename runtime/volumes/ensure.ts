/** Making a volume's directory. */
import { type FileHandle, lstat, mkdir, rename, rmdir } from 'node:fs/promises';
import { entryOf, openDirectory, openEntry } from './anchored.ts';
import { type VolumeIdentity, volumePath, volumeSegments } from './location.ts';

export interface EnsureVolume extends VolumeIdentity {
  /** Of the top directory, when it is made now. `mode` defaults to 0755. */
  owner: { uid: number; gid: number; mode?: number };
}

/**
 * Makes the directory if it is missing and resolves to its path once it is durable. One that exists is taken over with its data, owner
 * and mode. It appears under its name only complete, so a crash half-way leaves nothing that looks like a volume.
 */
export async function ensureVolumeDirectory({ owner, ...identity }: EnsureVolume): Promise<string> {
  const [roles, role, id] = volumeSegments(identity);
  await mkdir(identity.root, { recursive: true, mode: 0o700 });
  const opened: FileHandle[] = [await openDirectory(identity.root)];
  try {
    for (const name of [roles, role]) {
      const parent = opened.at(-1)!;
      // Nobody else passes: tasks may leave setuid programs in their volumes, and a disk may be anywhere.
      await mkdir(entryOf(parent, name), { mode: 0o700 }).catch(ignore('EEXIST'));
      opened.push(await openEntry(parent, name));
    }
    await makeTopDirectory(opened.at(-1)!, id, owner);
    // Innermost first: the name of a directory is durable before that of what it is in.
    for (const directory of opened.toReversed()) await directory.sync();
  } finally {
    for (const directory of opened) await directory.close();
  }
  return volumePath(identity);
}

async function makeTopDirectory(parent: FileHandle, id: string, owner: EnsureVolume['owner']): Promise<void> {
  const final = entryOf(parent, id);
  const existing = await lstat(final).catch(ignore('ENOENT'));
  if (existing?.isDirectory()) return;
  if (existing) throw new Error(`${id} exists but is not a directory`);
  try {
    await complete(parent, unfinishedName(id), owner);
    await rename(entryOf(parent, unfinishedName(id)), final);
  } catch (error) {
    // Somebody else was faster: what they made is accepted.
    const made = await lstat(final).catch(ignore('ENOENT'));
    if (!made?.isDirectory()) throw error;
    await rmdir(entryOf(parent, unfinishedName(id))).catch(() => {});
  }
}

async function complete(parent: FileHandle, name: string, owner: EnsureVolume['owner']): Promise<void> {
  // One of an agent that was killed is gone on with.
  await mkdir(entryOf(parent, name), { mode: 0o700 }).catch(ignore('EEXIST'));
  const directory = await openEntry(parent, name);
  try {
    await directory.chown(owner.uid, owner.gid);
    // After chown, which clears setuid and setgid.
    await directory.chmod(owner.mode ?? 0o755);
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Of the directory until it is complete. Always the same, so that what a killed agent left is found. */
export function unfinishedName(id: string): string {
  return `.making-${id}`;
}

function ignore(code: string): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code !== code) throw error;
    return undefined;
  };
}
