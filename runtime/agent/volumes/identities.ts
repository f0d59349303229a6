/**
 * Whose data a directory is. Role and persistenceId name it, and both can be chosen freely in any namespace: so the namespace that made it is
 * kept, durably and before the directory is made, until the data is removed. Another namespace does not get it.
 */
import { createHash } from 'node:crypto';
import type { RetainedVolume, Volume } from '../../../crds/types.generated.ts';
import { openCheckpointDirectory } from '../../checkpoint/directory.ts';

/** What is known of one directory. */
export interface Identity {
  /** Absent: the root disk. */
  disk?: string;
  role: string;
  persistenceId: string;
  namespace: string;
  /** The Volume that had it last. */
  volume: string;
  uid: string;
  path: string;
  /** The file system in a file that is mounted at `path` while the volume is used. */
  file?: string;
  /** Of a Mount disk, whose directory is there before the volume: it was not given to the volume's owner yet. */
  isNew?: true;
}

/** The data belongs to somebody else. The message says to whom. */
export class IdentityTaken extends Error {
  override name = 'IdentityTaken';
}

export interface Identities {
  find(disk: string | undefined, role: string, persistenceId: string): Identity | undefined;
  /**
   * Durable when resolved. Rejects with IdentityTaken when another namespace made the directory, or another living Volume has it. `isLiving`
   * tells whether there is a Volume of this uid.
   */
  claim(identity: Identity, isLiving: (uid: string) => boolean): Promise<void>;
  /** The data is gone. */
  forget(identity: Pick<Identity, 'disk' | 'role' | 'persistenceId'>): Promise<void>;
  list(): Identity[];
}

const KIND = { kind: 'VolumeIdentity', version: 1 };
/** As many as Agent.status takes. */
const MOST_RETAINED = 1024;

export async function openIdentities(directory: string, strict = true): Promise<Identities> {
  const records = await openCheckpointDirectory<Identity>(directory, KIND, { strict });
  const known = await records.load();
  const nameOf = (disk: string | undefined, role: string, persistenceId: string): string =>
    createHash('sha256')
      .update(JSON.stringify([disk ?? null, role, persistenceId]))
      .digest('hex')
      .slice(0, 32);
  return {
    find: (disk, role, persistenceId) => known.get(nameOf(disk, role, persistenceId)),
    async claim(identity, isLiving) {
      const { disk, role, persistenceId, namespace, uid } = identity;
      const name = nameOf(disk, role, persistenceId);
      const before = known.get(name);
      if (before !== undefined && before.namespace !== namespace)
        throw new IdentityTaken(
          `persistenceId "${persistenceId}" of role "${role}" is data of namespace "${before.namespace}" on this agent; use another persistenceId`,
        );
      if (before !== undefined && before.uid !== uid && isLiving(before.uid))
        throw new IdentityTaken(
          `persistenceId "${persistenceId}" of role "${role}" is the data of Volume "${before.volume}"; use another persistenceId`,
        );
      if (before !== undefined && JSON.stringify(before) === JSON.stringify(identity)) return;
      known.set(name, identity);
      await records.write(name, identity);
    },
    async forget({ disk, role, persistenceId }) {
      const name = nameOf(disk, role, persistenceId);
      known.delete(name);
      await records.remove(name);
    },
    list: () => [...known.values()],
  };
}

/** Data without a living Volume, as Agent.status shows it. Pure. */
export function retainedVolumes(identities: Identity[], isLiving: (uid: string) => boolean): RetainedVolume[] {
  return identities
    .filter(({ uid }) => !isLiving(uid))
    .map(({ namespace, role, persistenceId, disk }) => ({
      namespace,
      role,
      persistenceId,
      ...(disk !== undefined && { disk }),
    }))
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
    .slice(0, MOST_RETAINED);
}

/** Role and persistenceId of a Volume, with their defaults. */
export function identityOf({ metadata, spec }: Volume): { role: string; persistenceId: string } {
  return { role: spec.role ?? '*', persistenceId: spec.persistenceId ?? `${metadata.namespace}.${metadata.name}` };
}
