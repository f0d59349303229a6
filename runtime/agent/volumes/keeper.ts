/** The agent's part in a Volume's life: Bound -> make the directory -> Available; Deleting -> remove the data -> Deleted; and its use by tasks. */
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { Volume } from '../../../controllers/machinery/client/resources.ts';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import { formatBytes, parseBytes } from '../../../crds/quantity.ts';
import type {
  AgentDisk,
  AgentDiskStatus,
  RetainedVolume,
  Volume as VolumeDocument,
} from '../../../crds/types.generated.ts';
import type { ProjectIds } from '../../disk/project-ids.ts';
import type { ProjectQuota } from '../../disk/project-quota.ts';
import { createDiskWatch, type WatchedDirectory } from '../disk-limits/disk-watch.ts';
import type { TaskVolumes } from '../tasks/context.ts';
import type { Readiness } from '../tasks/plan.ts';
import { diskStatuses, inspectDisks } from './disks.ts';
import { type Identities, retainedVolumes } from './identities.ts';
import { NoPlace, type Place, placeOf } from './place.ts';
import { reportVolume } from './report.ts';
import { giveToFirstUser, nextStep, ownerOf, provide, refusalOf, remove, resize, type StepParts } from './steps.ts';
import { volumeNames } from './users.ts';
import { attachVolume, detachVolume, methodOf } from './volume-limit.ts';

const RETRY_MS = 2_000;
/** What was refused is looked at again: a disk may be mounted, other data removed. */
const REFUSED_RETRY_MS = 15_000;
/** No volume's key: what they all have together is done one after the other. */
const FORGOTTEN = '';
/** Of the size, in `status.used`. */
const USED_STEPS = 32;

export interface VolumeKeeperOptions {
  client: ApiClient;
  agentName: string;
  /** Directory that holds the volumes of the root disk. */
  root: string;
  /** Tepui's data directory. */
  dataDir: string;
  /** Agent.spec.disks, as it is now. */
  disks(): readonly AgentDisk[];
  identities: Identities;
  quota: ProjectQuota;
  projectIds: ProjectIds;
  /** Between two measurements of volumes in use. Default 15 s. */
  intervalMs?: number;
  /** Whether a container of this machine has the volume mounted. */
  isInUse(namespace: string, name: string): boolean;
  /** A volume whose size is only measured grew above it while it was used. */
  onExceeded(namespace: string, name: string, message: string): Promise<void>;
  /** Tasks may have been waiting for what just changed. */
  onChange(): void;
  logger: Logger;
}

/** The agent's volumes as Agent.status shows them. */
export interface VolumesReport {
  disks: AgentDiskStatus[];
  /** Absent until all Volumes of this agent were seen: before that nobody knows which data has none. */
  retainedVolumes?: RetainedVolume[];
}

export interface VolumeKeeper extends TaskVolumes {
  changed(volume: VolumeDocument): void;
  deleted(volume: VolumeDocument): void;
  /** All Volumes of this agent were seen. */
  complete(): void;
  /** With the disks that the Agent document declares. */
  report(declared: readonly AgentDisk[]): Promise<VolumesReport>;
  close(): Promise<void>;
}

export function createVolumeKeeper(options: VolumeKeeperOptions): VolumeKeeper {
  const { client, agentName, identities, quota, projectIds, logger } = options;
  const known = new Map<string, VolumeDocument>();
  const working = new Map<string, Promise<void>>();
  const missing = new Map<string, string>();
  /** Bytes used when a task began to use the volume: what was too much before is not this task's doing. */
  const baselines = new Map<string, number>();
  const timers = new Set<NodeJS.Timeout>();
  let isComplete = false;
  let closed = false;

  const isLiving = (uid: string): boolean => [...known.values()].some(({ metadata }) => metadata.uid === uid);
  const isUsed = ({ metadata }: VolumeDocument): boolean =>
    options.isInUse(metadata.namespace ?? '', metadata.name ?? '');
  const disks = () => inspectDisks(options.disks(), options, quota);
  const parts = async (): Promise<StepParts> => ({ quota, projectIds, identities, isLiving, disks: await disks() });

  const watch = createDiskWatch({
    intervalMs: options.intervalMs ?? 15_000,
    quota,
    async onExceeded({ key, limitBytes }, usedBytes) {
      const baseline = baselines.get(key);
      if (baseline === undefined || usedBytes <= baseline) return;
      const volume = known.get(key);
      if (volume === undefined) return;
      const { namespace = '', name = '' } = volume.metadata;
      const message = `volume "${name}" takes ${formatBytes(usedBytes)} bytes, more than its size of ${formatBytes(limitBytes)}`;
      await options.onExceeded(namespace, name, message);
    },
    onMeasured({ key, limitBytes }, usedBytes) {
      if (!baselines.has(key)) baselines.set(key, usedBytes);
      const volume = known.get(key);
      const step = Math.max(1, Math.floor(limitBytes / USED_STEPS));
      const used = formatBytes(Math.round(usedBytes / step) * step);
      if (volume === undefined || volume.status?.used === used) return;
      const { namespace, name = '', resourceVersion } = volume.metadata;
      const patch = { metadata: { resourceVersion }, status: { used } };
      enqueue(key, async () => void (await client.mergePatch(Volume, { namespace, name }, patch, 'status')));
    },
    logger,
  });

  const later = (key: string, delayMs: number): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      enqueue(key);
    }, delayMs);
    timer.unref();
    timers.add(timer);
  };

  /** One step; resolves to whether the volume's document changed. */
  const take = async (volume: VolumeDocument): Promise<VolumeDocument | undefined> => {
    const step = nextStep(volume, agentName);
    const now = await parts();
    switch (step) {
      case undefined:
        await settle(volume, now);
        return undefined;
      case 'Provide': {
        const made = await provide(volume, now);
        return reportVolume(volume, client, { state: 'Available', reason: null, message: null, ...made });
      }
      case 'Resize':
        return reportVolume(volume, client, { reason: null, message: null, ...(await resize(volume, now)) });
      case 'Remove':
        if (isUsed(volume)) throw new Error('a container still uses the volume');
        await remove(volume, now);
        return reportVolume(volume, client, { state: 'Deleted', reason: null, message: null });
    }
  };

  /** An Available volume: measured while it is used, detached while not. One of an earlier version of the agent gets its identity kept. */
  const settle = async (volume: VolumeDocument, now: StepParts): Promise<void> => {
    if (volume.status?.agentName !== agentName || volume.status.state !== 'Available') return;
    const key = keyOf(volume);
    const place = placeOf(volume, now.disks);
    if (identities.find(place.disk.name, place.role, place.persistenceId)?.uid !== volume.metadata.uid)
      await provide(volume, now);
    if (isUsed(volume)) watch.add(await watched(volume, place));
    else await unuse(key, place);
  };

  const watched = async (volume: VolumeDocument, place: Place): Promise<WatchedDirectory> => {
    const method = methodOf(volume, place);
    const project = projectIds.find(place.path);
    return {
      key: keyOf(volume),
      directory: place.path,
      fileSystem: place.disk.path,
      limitBytes: method === 'None' ? (place.disk.capacityBytes ?? Infinity) : parseBytes(volume.spec.size),
      // What a whole disk holds is told by the file system, as for a file.
      method: method === 'None' ? 'File' : method,
      ...(project !== undefined && { project }),
    };
  };

  const unuse = async (key: string, place: Place): Promise<void> => {
    watch.delete(key);
    baselines.delete(key);
    if (place.disk.type !== 'Mount') await detachVolume(place);
  };

  /** What Volumes that are gone still have mounted: they went right after their last task, or while no agent was here. */
  const detachForgotten = async (): Promise<void> => {
    for (const { uid, namespace, volume, path, file } of identities.list())
      if (file !== undefined && !isLiving(uid) && !options.isInUse(namespace, volume)) await detachVolume({ path });
  };

  const work = async (key: string): Promise<void> => {
    // Only when all are known is it certain that no other Volume has the data.
    if (closed || !isComplete) return;
    const volume = known.get(key);
    if (volume === undefined) return enqueue(FORGOTTEN, detachForgotten);
    try {
      const updated = await take(volume);
      if (updated === undefined) return;
      known.set(key, updated);
      logger.info({ volume: key, state: updated.status?.state }, 'volume changed');
      options.onChange();
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== undefined) await refuse(key, refusal);
      else
        logger.warn({ err: error, volume: key, requeueAfterMs: RETRY_MS }, 'a step of a volume failed; it is retried');
      later(key, refusal === undefined ? RETRY_MS : REFUSED_RETRY_MS);
    }
  };

  /** Said once; the state stays. */
  const refuse = async (key: string, refusal: { reason: string; message: string }): Promise<void> => {
    const volume = known.get(key);
    if (volume === undefined || (volume.status?.reason === refusal.reason && volume.status.message === refusal.message))
      return;
    logger.warn({ volume: key, op: refusal.reason }, refusal.message);
    await reportVolume(volume, client, refusal).then(
      (updated) => known.set(key, updated),
      (err: unknown) => logger.warn({ err, volume: key }, 'a volume could not be reported; it is retried'),
    );
  };

  const enqueue = (key: string, task: () => Promise<void> = () => work(key)): void => {
    if (closed) return;
    const run = (): Promise<void> =>
      task().catch((err: unknown) => logger.warn({ err, volume: key }, 'a step of a volume failed'));
    const next = (working.get(key) ?? Promise.resolve()).then(run);
    working.set(key, next);
    void next.finally(() => working.get(key) === next && working.delete(key));
  };

  /** Asks the server for a volume that the watch has not shown: it may be late, elsewhere, or not exist. */
  const lookUp = async (namespace: string, name: string): Promise<void> => {
    const key = `${namespace}/${name}`;
    if (missing.has(key)) return;
    missing.set(key, '');
    const found = await client.get(Volume, { namespace, name }).catch(() => null);
    if (found === null) {
      missing.delete(key);
    } else if (found === undefined) {
      missing.set(key, `volume "${name}" does not exist`);
    } else if (found.status?.agentName !== undefined && found.status.agentName !== agentName) {
      missing.set(key, `volume "${name}" is on agent "${found.status.agentName}"`);
    }
    options.onChange();
    setTimeout(() => missing.delete(key) && options.onChange(), RETRY_MS).unref();
  };

  return {
    changed(volume) {
      const key = keyOf(volume);
      known.set(key, volume);
      missing.delete(key);
      enqueue(key);
      options.onChange();
    },
    deleted(volume) {
      const key = keyOf(volume);
      if (known.get(key)?.metadata.uid === volume.metadata.uid) known.delete(key);
      watch.delete(key);
      enqueue(key);
      options.onChange();
    },
    complete() {
      // Those that have their directories first: whoever else names one must find it taken.
      const first = [...known].sort(([, a], [, b]) => rank(a) - rank(b));
      isComplete = true;
      let turn: Promise<void> = Promise.resolve();
      for (const [key] of first) {
        turn = turn.then(() => work(key));
        working.set(key, turn);
      }
      void turn.then(options.onChange);
      enqueue(FORGOTTEN, detachForgotten);
    },
    readiness(task) {
      const namespace = task.metadata.namespace ?? '';
      for (const name of volumeNames(task)) {
        const volume = known.get(`${namespace}/${name}`);
        if (volume?.status?.state === 'Available') continue;
        const problem = missing.get(`${namespace}/${name}`);
        if (volume === undefined && problem) return { kind: 'Missing', message: problem };
        if (volume === undefined) void lookUp(namespace, name);
        const { reason, message } = volume?.status ?? {};
        const why = reason !== undefined && message !== undefined ? `: ${message}` : '';
        return { kind: 'Waiting', message: `volume "${name}" is not available yet${why}` };
      }
      return { kind: 'Ready' } satisfies Readiness;
    },
    async prepare(namespace, name, user) {
      const volume = known.get(`${namespace}/${name}`);
      if (volume?.status?.state !== 'Available') return undefined;
      const place = placeOf(volume, await disks());
      // Whoever may write a status must not be able to have any directory of the machine mounted and given away.
      if (volume.status.path !== place.path) return undefined;
      const identity = identities.find(place.disk.name, place.role, place.persistenceId);
      if (identity !== undefined && identity.namespace !== namespace)
        throw new NoPlace(`its data belongs to namespace "${identity.namespace}"`);
      await attachVolume(volume, place, ownerOf(volume));
      if (volume.spec.owner?.user === undefined && user.uid !== 0) await giveToFirstUser(place, user);
      // Also where another task still holds it: what that one left is not this one's doing.
      baselines.delete(keyOf(volume));
      watch.add(await watched(volume, place));
      return place.path;
    },
    released(namespace, names) {
      for (const name of names) enqueue(`${namespace}/${name}`);
    },
    async report(declared) {
      const allocated = (diskName: string | undefined): number =>
        [...known.values()]
          .filter(({ status }) => status?.diskName === diskName && status?.state !== 'Deleted')
          .reduce((sum, { spec }) => sum + parseBytes(spec.size), 0);
      return {
        disks: diskStatuses(await inspectDisks(declared, options, quota), allocated),
        ...(isComplete && { retainedVolumes: retainedVolumes(identities.list(), isLiving) }),
      };
    },
    async close() {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      await watch.close();
      await Promise.all(working.values());
    },
  };
}

function rank({ status }: VolumeDocument): number {
  return status?.state === 'Available' ? 0 : 1;
}

function keyOf({ metadata }: VolumeDocument): string {
  return `${metadata.namespace}/${metadata.name}`;
}
