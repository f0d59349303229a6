/**
 * What the containers of one task share in memory: tmpfs volumes, and Secrets and ConfigMaps as files. Each is a tmpfs of its own at
 * `<runtime>/tasks/<groupId>/volumes/<name>`, below a directory that only root reaches, and lives as long as the task's run.
 *
 * The files of a Secret belong to the container's user, so there is one directory per user in it. What is shown is kept beside it
 * (`projections/<name>.json`, without values), so that a later agent process goes on updating.
 */
import { lstat, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import { isMountPoint, mountsBelow, mountTmpfs, unmount } from '../../volumes/mounts.ts';
import { writeProjection } from '../../volumes/projection.ts';
import { followObject } from './follow-object.ts';
import { type ProjectedObject, type Projection, projectedFiles } from './projected-files.ts';

export interface MemoryVolumesOptions {
  client: ApiClient;
  /** The agent's per-boot directory, 0700. */
  runtimeDir: string;
  logger: Logger;
  /** Between two readings of an object that is not watched. Default 60 s. */
  pollIntervalMs?: number;
  /** Objects watched at once; what is more is polled. Default 64. */
  mostWatches?: number;
}

export interface Owner {
  uid: number;
  gid: number;
}

export interface MemoryVolumes {
  /** Host directory of a tmpfs volume; made when it is missing. `sizeBytes` absent: half of the machine's memory. */
  tmpfs(groupId: string, name: string, sizeBytes?: number): Promise<string>;
  /** Host directory with the object's files, kept up to date. Rejects with VolumeSourceMissing or ProjectionInvalid. */
  projected(
    groupId: string,
    name: string,
    projection: Projection,
    object: ProjectedObject | undefined,
    owner: Owner,
  ): Promise<string>;
  /** Takes all of it away. Idempotent, tolerates unknown ids. */
  remove(groupId: string): Promise<void>;
  /** After a restart of the agent: goes on with the task runs given and removes what is left of others. */
  recover(groupIds: Iterable<string>): Promise<void>;
  /** Ends the updating; the volumes stay. */
  close(): Promise<void>;
}

interface Live {
  groupId: string;
  name: string;
  projection: Projection;
  owners: Owner[];
}

interface Followed {
  users: Set<Live>;
  stop: AbortController;
  running: Promise<void>;
}

const POLL_INTERVAL_MS = 60_000;
const MOST_WATCHES = 64;
/** A Secret has at most 1 MiB, and while it is replaced there are two versions, each with one copy per user. */
const PROJECTION_BYTES = 64 * 2 ** 20;
/** As for /tmp: the task's containers may have different users. */
const SHARED_MODE = 0o1777;

export function openMemoryVolumes(options: MemoryVolumesOptions): MemoryVolumes {
  const { runtimeDir, client, logger } = options;
  const tasksDirectory = join(runtimeDir, 'tasks');
  const live = new Map<string, Live>();
  const followed = new Map<string, Followed>();
  /** Changes of one volume come one after the other. */
  const turns = new Map<string, Promise<unknown>>();
  let closed = false;

  const directoryOf = (groupId: string): string => join(tasksDirectory, checked(groupId));
  const placeOf = (groupId: string, name: string): string => join(directoryOf(groupId), 'volumes', checked(name));

  const inTurn = <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const next = (turns.get(key) ?? Promise.resolve()).then(work, work);
    turns.set(key, next);
    const finished = (): void => void (turns.get(key) === next && turns.delete(key));
    next.then(finished, finished);
    return next;
  };

  const ensureMounted = async (
    place: string,
    tmpfs: { sizeBytes?: number; mode: number; noSwap?: boolean },
  ): Promise<void> => {
    await mkdir(place, { recursive: true, mode: 0o700 });
    if (!(await isMountPoint(place))) await mountTmpfs(place, tmpfs);
  };

  const show = async (volume: Live, object: ProjectedObject | undefined): Promise<boolean> => {
    const place = placeOf(volume.groupId, volume.name);
    // Never onto a disk: the directory is still there after what was mounted on it is gone.
    if (!(await isMountPoint(place))) return false;
    const files = projectedFiles(volume.projection, object);
    let changed = false;
    for (const owner of volume.owners)
      changed = (await writeProjection(join(place, ownerName(owner)), files, owner)) || changed;
    return changed;
  };

  const update = (volume: Live, object: ProjectedObject): void => {
    const { groupId, name, projection } = volume;
    inTurn(volumeKey(groupId, name), async () => {
      if (closed || live.get(volumeKey(groupId, name)) !== volume) return;
      if (await show(volume, object))
        logger.info({ volume: name, op: projection.kind, name: projection.name }, 'files of a volume were replaced');
    }).catch((err: unknown) => {
      logger.warn({ err, volume: name }, 'files of a volume could not be replaced; the old ones stay');
    });
  };

  const follow = (volume: Live): void => {
    const { kind, namespace, name } = volume.projection;
    const key = `${kind}/${namespace}/${name}`;
    const known = followed.get(key);
    if (known !== undefined) {
      known.users.add(volume);
      return;
    }
    const users = new Set([volume]);
    const stop = new AbortController();
    const running = followObject(
      {
        client,
        object: { kind, namespace, name },
        watch: followed.size < (options.mostWatches ?? MOST_WATCHES),
        pollIntervalMs: options.pollIntervalMs ?? POLL_INTERVAL_MS,
        onVersion: (object) => users.forEach((user) => void update(user, object)),
        logger,
      },
      stop.signal,
    );
    followed.set(key, { users, stop, running });
  };

  const unfollow = (volume: Live): void => {
    for (const [key, { users, stop }] of followed) {
      if (!users.delete(volume) || users.size > 0) continue;
      stop.abort();
      followed.delete(key);
    }
  };

  const removeGroup = async (groupId: string): Promise<void> => {
    const directory = directoryOf(groupId);
    for (const volume of [...live.values()].filter((known) => known.groupId === groupId)) {
      live.delete(volumeKey(groupId, volume.name));
      unfollow(volume);
    }
    if ((await lstat(directory).catch(() => undefined)) === undefined) return;
    const volumes = join(directory, 'volumes');
    const names = await readdir(volumes).catch(() => []);
    await Promise.all(names.map((name) => inTurn(volumeKey(groupId, name), async () => {})));
    await unmount((await mountsBelow(volumes)).map(({ path }) => path));
    await rm(volumes, { recursive: true, force: true });
    await rm(join(directory, 'projections'), { recursive: true, force: true });
    // The task's network has its things there, too.
    await rmdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code ?? '')) throw error;
    });
  };

  return {
    tmpfs: (groupId, name, sizeBytes) =>
      inTurn(volumeKey(groupId, name), async () => {
        const place = placeOf(groupId, name);
        await ensureMounted(place, { mode: SHARED_MODE, ...(sizeBytes !== undefined && { sizeBytes }) });
        return place;
      }),
    projected: (groupId, name, projection, object, owner) =>
      inTurn(volumeKey(groupId, name), async () => {
        const place = placeOf(groupId, name);
        await ensureMounted(place, { mode: 0o755, sizeBytes: PROJECTION_BYTES, noSwap: true });
        const key = volumeKey(groupId, name);
        const before = live.get(key);
        const volume = before ?? { groupId, name, projection, owners: [] };
        if (!volume.owners.some(({ uid, gid }) => uid === owner.uid && gid === owner.gid))
          volume.owners = [...volume.owners, owner];
        await show(volume, object);
        await writeManifest(directoryOf(groupId), volume);
        if (before === undefined) {
          live.set(key, volume);
          follow(volume);
        }
        return join(place, ownerName(owner));
      }),
    remove: removeGroup,
    async recover(groupIds) {
      const wanted = new Set(groupIds);
      for (const groupId of await readdir(tasksDirectory).catch(() => [])) {
        if (!wanted.has(groupId)) {
          await removeGroup(groupId);
          continue;
        }
        for (const volume of await readManifests(directoryOf(groupId), groupId)) {
          live.set(volumeKey(groupId, volume.name), volume);
          follow(volume);
        }
      }
    },
    async close() {
      closed = true;
      for (const { stop } of followed.values()) stop.abort();
      await Promise.all([...followed.values()].map(({ running }) => running));
      await Promise.allSettled(turns.values());
    },
  };
}

async function writeManifest(directory: string, { name, projection, owners }: Live): Promise<void> {
  const manifests = join(directory, 'projections');
  await mkdir(manifests, { recursive: true, mode: 0o700 });
  const file = join(manifests, `${name}.json`);
  // Not synced: it is of use in this boot only.
  await writeFile(`${file}.tmp`, JSON.stringify({ projection, owners }), { mode: 0o600 });
  await rename(`${file}.tmp`, file);
}

async function readManifests(directory: string, groupId: string): Promise<Live[]> {
  const manifests = join(directory, 'projections');
  const found: Live[] = [];
  for (const file of await readdir(manifests).catch(() => [])) {
    if (!file.endsWith('.json')) continue;
    const { projection, owners } = JSON.parse(await readFile(join(manifests, file), 'utf8')) as Omit<
      Live,
      'groupId' | 'name'
    >;
    found.push({ groupId, name: file.slice(0, -'.json'.length), projection, owners });
  }
  return found;
}

function ownerName({ uid, gid }: Owner): string {
  return `${uid}.${gid}`;
}

function volumeKey(groupId: string, name: string): string {
  return `${groupId}/${name}`;
}

/** Ids and names are ours or the schema's; one that could lead elsewhere never gets here. */
function checked(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw new Error(`"${name}" cannot be the name of a directory`);
  return name;
}
