/**
 * Which directory has which project number. A number is on disk before it is used and until its directory is gone, so that after a crash at any
 * point no two directories have the same one.
 */
import { openCheckpointDirectory } from '../checkpoint/directory.ts';
import type { ProjectQuota } from './project-quota.ts';

export interface ProjectIds {
  /** The directory's number; a new one when it has none. `fileSystem` is a directory above it that stays when it goes. */
  allocate(directory: string, fileSystem: string): Promise<number>;
  find(directory: string): number | undefined;
  /** Takes limit and number away. The directory's files must be gone. Idempotent. */
  release(directory: string): Promise<void>;
  /** Directories that have one. */
  list(): string[];
}

export interface ProjectIdsOptions {
  /** Where the numbers are kept. */
  directory: string;
  /** Names this data directory on the machine: other agents begin elsewhere. */
  instance: string;
  quota: ProjectQuota;
  strict?: boolean;
}

interface Assigned {
  directory: string;
  fileSystem: string;
}

const KIND = { kind: 'ProjectId', version: 1 };
/** Above what operators write into /etc/projid by hand, and what Mesos takes (5000-10000). */
const lowest = 1 << 20;
const perInstance = 1 << 16;
const instances = 1 << 14;

export async function openProjectIds({
  directory,
  instance,
  quota,
  strict = true,
}: ProjectIdsOptions): Promise<ProjectIds> {
  const records = await openCheckpointDirectory<Assigned>(directory, KIND, { strict });
  const byId = new Map<number, Assigned>();
  const byDirectory = new Map<string, number>();
  for (const [name, assigned] of await records.load()) {
    byId.set(Number(name), assigned);
    byDirectory.set(assigned.directory, Number(name));
  }
  const base = lowest + (Number.parseInt(instance.slice(0, 8), 16) % instances) * perInstance;
  /** In use by somebody else on some file system: not asked again. */
  const foreign = new Set<number>();
  let turn: Promise<unknown> = Promise.resolve();

  const isFree = async (id: number, fileSystem: string): Promise<boolean> => {
    const [found] = await quota.get(fileSystem, [id]);
    return found !== undefined && found.usedBytes === 0 && found.limitBytes === 0;
  };
  const allocate = async (wanted: string, fileSystem: string): Promise<number> => {
    const known = byDirectory.get(wanted);
    if (known !== undefined) return known;
    for (let id = base; id < base + perInstance; id++) {
      if (byId.has(id) || foreign.has(id)) continue;
      if (!(await isFree(id, fileSystem))) {
        foreign.add(id);
        continue;
      }
      const assigned = { directory: wanted, fileSystem };
      byId.set(id, assigned);
      byDirectory.set(wanted, id);
      await records.write(String(id), assigned);
      return id;
    }
    throw new Error('all project numbers of this agent are in use');
  };
  return {
    allocate(wanted, fileSystem) {
      const next = turn.then(() => allocate(wanted, fileSystem));
      turn = next.catch(() => {});
      return next;
    },
    find: (wanted) => byDirectory.get(wanted),
    async release(wanted) {
      const id = byDirectory.get(wanted);
      const assigned = id === undefined ? undefined : byId.get(id);
      if (id === undefined || assigned === undefined) return;
      await quota.clear(assigned.fileSystem, id);
      await records.remove(String(id));
      byId.delete(id);
      byDirectory.delete(wanted);
    },
    list: () => [...byDirectory.keys()],
  };
}
