/** Where a Volume's data is on this machine. Pure. */
import { join } from 'node:path';
import type { Volume } from '../../../crds/types.generated.ts';
import { volumePath } from '../../volumes/location.ts';
import type { Disk } from './disks.ts';
import { identityOf } from './identities.ts';

export interface Place {
  disk: Disk;
  role: string;
  persistenceId: string;
  path: string;
  /** Where the file of enforcement File is. */
  file: string;
}

/** The Volume cannot be used on this agent now. The message says why; it may pass. */
export class NoPlace extends Error {
  override name = 'NoPlace';
}

/** Throws NoPlace when its disk is not there, and VolumeNameInvalid for names that are no directory. */
export function placeOf(volume: Volume, disks: readonly Disk[]): Place {
  const { diskName } = volume.status ?? {};
  const { role, persistenceId } = identityOf(volume);
  const disk = disks.find(({ name }) => name === diskName);
  if (disk === undefined) throw new NoPlace(`disk "${diskName}" is not in spec.disks of the agent any more`);
  if (disk.problem !== undefined) throw new NoPlace(`disk "${diskName ?? 'root'}" cannot be used: ${disk.problem}`);
  const wanted = volume.spec.disk?.type ?? 'Root';
  if (disk.type !== wanted) throw new NoPlace(`disk "${diskName ?? 'root'}" is of type ${disk.type}, not ${wanted}`);
  const path = disk.type === 'Mount' ? disk.path : volumePath({ root: disk.path, role, id: persistenceId });
  return {
    disk,
    role,
    persistenceId,
    path,
    file: join(disk.path, 'files', role.replaceAll('/', ' '), `${persistenceId}.img`),
  };
}
