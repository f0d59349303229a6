/** How a Volume's size is kept. */
import { readdir, stat } from 'node:fs/promises';
import { parseBytes } from '../../../crds/quantity.ts';
import type { Volume } from '../../../crds/types.generated.ts';
import { growLoopFile, mountLoopFile, unmountLoopFile } from '../../disk/loop-file.ts';
import type { ProjectIds } from '../../disk/project-ids.ts';
import type { ProjectQuota } from '../../disk/project-quota.ts';
import { inOwnUserNamespace } from '../../rootless/state.ts';
import type { Place } from './place.ts';

/** The size cannot be kept as the Volume asks. The message names the field. */
export class EnforcementImpossible extends Error {
  override name = 'EnforcementImpossible';
}

/** None: a Mount disk is its own limit. */
export type VolumeMethod = 'Quota' | 'File' | 'Usage' | 'None';

export interface LimitParts {
  quota: ProjectQuota;
  projectIds: ProjectIds;
}

/** Throws EnforcementImpossible. */
export function methodOf({ spec }: Volume, { disk }: Place): VolumeMethod {
  const enforcement = spec.enforcement ?? 'Auto';
  if (disk.type === 'Mount') {
    if (enforcement === 'Auto' || enforcement === 'Usage') return 'None';
    throw new EnforcementImpossible(
      `spec.enforcement: "${enforcement}" is not for a disk of type Mount, which is a limit itself`,
    );
  }
  if (enforcement === 'File' && inOwnUserNamespace())
    throw new EnforcementImpossible(
      'spec.enforcement: "File" needs an agent with root, which mounts the file; use Usage',
    );
  if (enforcement === 'File' || enforcement === 'Usage') return enforcement;
  if (disk.quota) return 'Quota';
  if (enforcement === 'Auto') return 'Usage';
  throw new EnforcementImpossible(
    `spec.enforcement: the file system of ${disk.path} has no project quota (ext4 mounted with prjquota, XFS with pquota); use File or Usage`,
  );
}

/** Puts the size in force once the directory exists. Idempotent; also after a change of the size. Resolves to the size in force. */
export async function applyLimit(volume: Volume, place: Place, { quota, projectIds }: LimitParts): Promise<number> {
  const sizeBytes = parseBytes(volume.spec.size);
  switch (methodOf(volume, place)) {
    case 'Quota': {
      const project = await projectIds.allocate(place.path, place.disk.path);
      await quota.set(place.path, project, sizeBytes);
      return sizeBytes;
    }
    case 'File':
      return growFile(place, sizeBytes);
    case 'Usage':
      return sizeBytes;
    case 'None':
      return place.disk.capacityBytes ?? sizeBytes;
  }
}

/** Mounts what is mounted only while the volume is used. The owner is of the top directory, when the file system is new. */
export async function attachVolume(
  volume: Volume,
  place: Place,
  owner: { uid: number; gid: number; mode: number },
): Promise<void> {
  if (methodOf(volume, place) !== 'File') return;
  const { file, path } = place;
  if (!(await exists(file)) && (await readdir(path)).length > 0)
    throw new EnforcementImpossible('spec.enforcement: "File" cannot take over a directory that has data already');
  await mountLoopFile({ file, sizeBytes: parseBytes(volume.spec.size), mountPoint: path, reserve: true, owner });
}

export async function detachVolume({ path }: Pick<Place, 'path'>): Promise<void> {
  await unmountLoopFile(path);
}

async function growFile({ file, path }: Place, sizeBytes: number): Promise<number> {
  if (!(await exists(file))) return sizeBytes;
  const { size } = await stat(file);
  if (size > sizeBytes)
    throw new EnforcementImpossible('spec.size: a volume with enforcement File cannot become smaller');
  // Also a file that has the size: its file system may not have it yet.
  return growLoopFile({ file, mountPoint: path, sizeBytes, reserve: true });
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
