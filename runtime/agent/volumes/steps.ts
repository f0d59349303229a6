/** What the agent does for a Volume: make its directory, keep to its size, remove its data. Each step can be repeated after a crash. */
import { chown, readdir, stat } from 'node:fs/promises';
import { formatBytes, parseBytes } from '../../../crds/quantity.ts';
import type { Volume } from '../../../crds/types.generated.ts';
import { removeLoopFile } from '../../disk/loop-file.ts';
import {
  emptyMountVolume,
  ensureMountVolume,
  ensureVolumeDirectory,
  removeVolumeDirectory,
  VolumeNameInvalid,
} from '../../volumes/index.ts';
import { resolveUser, UserUnknown } from '../tasks/user.ts';
import type { Disk } from './disks.ts';
import { type Identities, type Identity, IdentityTaken } from './identities.ts';
import { NoPlace, type Place, placeOf } from './place.ts';
import { applyLimit, detachVolume, EnforcementImpossible, type LimitParts, methodOf } from './volume-limit.ts';

export interface StepParts extends LimitParts {
  identities: Identities;
  /** As they are now. */
  disks: readonly Disk[];
  /** Whether there is a Volume with this uid. */
  isLiving(uid: string): boolean;
}

export type Step = 'Provide' | 'Resize' | 'Remove';

/** What the Volume needs of this agent now. Pure. */
export function nextStep({ status, spec }: Volume, agentName: string): Step | undefined {
  if (status?.agentName !== agentName) return undefined;
  switch (status.state) {
    case 'Bound':
      return 'Provide';
    case 'Available':
      return isSized(spec.size, status.capacity, spec.disk?.type) ? undefined : 'Resize';
    case 'Deleting':
      return 'Remove';
    default:
      return undefined;
  }
}

/** Makes the directory, with its owner and limit; resolves to what the status says then. */
export async function provide(volume: Volume, parts: StepParts): Promise<{ path: string; capacity: string }> {
  const place = placeOf(volume, parts.disks);
  const { disk, role, persistenceId, path } = place;
  const method = methodOf(volume, place);
  const before = parts.identities.find(disk.name, role, persistenceId);
  // Of one that was just claimed when the agent was killed, too.
  const isNew = disk.type === 'Mount' && (before === undefined || before.isNew === true);
  const identity: Identity = {
    ...(disk.name !== undefined && { disk: disk.name }),
    role,
    persistenceId,
    namespace: volume.metadata.namespace ?? '',
    volume: volume.metadata.name ?? '',
    uid: volume.metadata.uid ?? '',
    path,
    ...(method === 'File' && { file: place.file }),
  };
  await parts.identities.claim({ ...identity, ...(isNew && { isNew }) }, parts.isLiving);
  const owner = ownerOf(volume);
  if (disk.type !== 'Mount') {
    await ensureVolumeDirectory({ root: disk.path, role, id: persistenceId, owner });
  } else if (isNew) {
    await ensureMountVolume(path, owner);
    await parts.identities.claim(identity, parts.isLiving);
  }
  return { path, capacity: formatBytes(await applyLimit(volume, place, parts)) };
}

export async function resize(volume: Volume, parts: StepParts): Promise<{ capacity: string }> {
  return { capacity: formatBytes(await applyLimit(volume, placeOf(volume, parts.disks), parts)) };
}

/** Removes the data, if it is this Volume's: one that was refused has none. Nothing of it is mounted in any container. */
export async function remove(volume: Volume, parts: StepParts): Promise<void> {
  const { disk, role, persistenceId, path, file } = placeOf(volume, parts.disks);
  const identity = parts.identities.find(disk.name, role, persistenceId);
  if (identity !== undefined && identity.uid !== volume.metadata.uid) return;
  if (disk.type === 'Mount') {
    await emptyMountVolume(path);
  } else {
    await detachVolume({ path });
    await removeVolumeDirectory({ root: disk.path, role, id: persistenceId });
    await removeLoopFile(file);
    await parts.projectIds.release(path);
  }
  await parts.identities.forget({ role, persistenceId, ...(disk.name !== undefined && { disk: disk.name }) });
}

/** Why a step cannot be done, as reason and message for the status; undefined for a failure that is only worth a retry. */
export function refusalOf(error: unknown): { reason: string; message: string } | undefined {
  const { message } = error as Error;
  if (error instanceof IdentityTaken) return { reason: 'PersistenceIdTaken', message };
  if (error instanceof NoPlace) return { reason: 'DiskNotUsable', message };
  if (error instanceof EnforcementImpossible) return { reason: 'EnforcementImpossible', message };
  if (error instanceof VolumeNameInvalid) return { reason: 'InvalidName', message };
  if (error instanceof UserUnknown) return { reason: 'OwnerUnknown', message: `spec.owner: ${message}` };
  return undefined;
}

export function ownerOf({ spec }: Volume): { uid: number; gid: number; mode: number } {
  const { user, group, mode } = spec.owner ?? {};
  const owner = resolveUser(group === undefined ? (user ?? '0') : `${user ?? '0'}:${group}`);
  return { uid: owner.uid, gid: owner.gid, mode: Number.parseInt(mode ?? '0755', 8) };
}

/** Without spec.owner the volume belongs to the user of its first task: the one who finds it untouched. */
export async function giveToFirstUser({ path }: Place, user: { uid: number; gid: number }): Promise<void> {
  if ((await stat(path)).uid !== 0) return;
  const contents = await readdir(path);
  if (contents.some((name) => name !== 'lost+found')) return;
  await chown(path, user.uid, user.gid);
}

/** A Mount disk has the size that it has. */
function isSized(size: string | number, capacity: string | number | undefined, type: string | undefined): boolean {
  return type === 'Mount' || (capacity !== undefined && parseBytes(capacity) === parseBytes(size));
}
