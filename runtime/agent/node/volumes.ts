/** The agent's part in a Volume's life: Bound -> make the directory -> Available; Deleting -> remove it -> Deleted. */
import { chown, readdir, stat } from 'node:fs/promises';
import { normalize } from 'node:path';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { Volume } from '../../../controllers/machinery/client/resources.ts';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import type { Task, Volume as VolumeDocument } from '../../../crds/types.generated.ts';
import { ensureVolumeDirectory, removeVolumeDirectory } from '../../volumes/index.ts';
import type { TaskVolumes } from '../tasks/context.ts';
import type { Readiness } from '../tasks/plan.ts';
import type { TaskRunner } from '../tasks/runner.ts';
import { resolveUser } from '../tasks/user.ts';

const RETRY_MS = 2_000;
const NOT_IMPLEMENTED = 'NotImplemented';

export interface VolumeKeeperOptions {
  client: ApiClient;
  agentName: string;
  /** Directory that holds the volumes of the root disk. */
  root: string;
  /** Whether a container of this machine has the volume mounted. */
  isInUse(namespace: string, name: string): boolean;
  /** Tasks may have been waiting for what just changed. */
  onChange(): void;
  logger: Logger;
}

export interface VolumeKeeper extends TaskVolumes {
  changed(volume: VolumeDocument): void;
  deleted(volume: VolumeDocument): void;
  close(): Promise<void>;
}

export function createVolumeKeeper(options: VolumeKeeperOptions): VolumeKeeper {
  const known = new Map<string, VolumeDocument>();
  const working = new Map<string, Promise<void>>();
  const missing = new Map<string, string>();
  let closed = false;

  const work = async (key: string): Promise<void> => {
    const volume = known.get(key);
    const step = volume && nextStep(volume, options.agentName);
    if (volume === undefined || step === undefined || closed) return;
    try {
      const updated = await (step === 'Provide' ? provide(volume, options) : remove(volume, options));
      known.set(key, updated);
      options.logger.info({ volume: key, state: updated.status?.state }, 'volume changed');
      options.onChange();
    } catch (error) {
      options.logger.warn(
        { err: error, volume: key, requeueAfterMs: RETRY_MS },
        'a step of a volume failed; it is retried',
      );
      setTimeout(() => enqueue(key), RETRY_MS).unref();
    }
  };
  const enqueue = (key: string): void => {
    if (closed) return;
    const next = (working.get(key) ?? Promise.resolve()).then(() => work(key));
    working.set(key, next);
    void next.finally(() => working.get(key) === next && working.delete(key));
  };

  /** Asks the server for a volume that the watch has not shown: it may be late, elsewhere, or not exist. */
  const lookUp = async (namespace: string, name: string): Promise<void> => {
    const key = `${namespace}/${name}`;
    if (missing.has(key)) return;
    missing.set(key, '');
    const found = await options.client.get(Volume, { namespace, name }).catch(() => null);
    if (found === null) {
      missing.delete(key);
    } else if (found === undefined) {
      missing.set(key, `volume "${name}" does not exist`);
    } else if (found.status?.agentName !== undefined && found.status.agentName !== options.agentName) {
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
      known.delete(keyOf(volume));
      options.onChange();
    },
    readiness(task) {
      const namespace = task.metadata.namespace ?? '';
      for (const name of volumeNames(task)) {
        const volume = known.get(`${namespace}/${name}`);
        if (volume?.status?.state === 'Available') continue;
        const problem = missing.get(`${namespace}/${name}`);
        if (volume === undefined && problem) return { kind: 'Missing', message: problem };
        if (volume === undefined) void lookUp(namespace, name);
        return { kind: 'Waiting', message: `volume "${name}" is not available yet` };
      }
      return { kind: 'Ready' } satisfies Readiness;
    },
    async prepare(namespace, name, user) {
      const volume = known.get(`${namespace}/${name}`);
      if (volume?.status?.state !== 'Available' || volume.status.path === undefined) return undefined;
      // Whoever may write a status must not be able to have any directory of the machine mounted and given away.
      if (
        normalize(volume.status.path) !== volume.status.path ||
        !volume.status.path.startsWith(`${options.root}/roles/`)
      )
        return undefined;
      if (volume.spec.owner?.user === undefined) await giveToFirstUser(volume.status.path, user);
      return volume.status.path;
    },
    async close() {
      closed = true;
      await Promise.all(working.values());
    },
  };
}

/** Names of the Volumes that the task's volumes refer to. Pure. */
export function volumeNames(task: Task): string[] {
  return (task.spec.volumes ?? []).flatMap((volume) => (volume.volume === undefined ? [] : [volume.volume.volumeName]));
}

/** Whether the container of any of these tasks may have the volume mounted. */
export function isVolumeInUse(runners: Iterable<TaskRunner>, namespace: string, name: string): boolean {
  for (const { record } of runners) {
    const isLive = record !== undefined && record.phase !== 'Cleaned' && record.groupId !== '';
    if (isLive && record.namespace === namespace && record.volumes.includes(name)) return true;
  }
  return false;
}

function nextStep({ status }: VolumeDocument, agentName: string): 'Provide' | 'Remove' | undefined {
  if (status?.agentName !== agentName) return undefined;
  if (status.state === 'Bound' && status.reason !== NOT_IMPLEMENTED) return 'Provide';
  return status.state === 'Deleting' ? 'Remove' : undefined;
}

async function provide(volume: VolumeDocument, options: VolumeKeeperOptions): Promise<VolumeDocument> {
  const unsupported = unsupportedReason(volume);
  if (unsupported !== undefined) {
    return report(volume, options.client, { state: 'Bound', reason: NOT_IMPLEMENTED, message: unsupported });
  }
  const path = await ensureVolumeDirectory({ root: options.root, ...identityOf(volume), owner: ownerOf(volume) });
  return report(volume, options.client, {
    state: 'Available',
    reason: null,
    message: null,
    path,
    capacity: volume.spec.size,
  });
}

async function remove(volume: VolumeDocument, options: VolumeKeeperOptions): Promise<VolumeDocument> {
  const { namespace, name } = volume.metadata;
  if (options.isInUse(namespace ?? '', name ?? '')) throw new Error('a container still uses the volume');
  await removeVolumeDirectory({ root: options.root, ...identityOf(volume) });
  return report(volume, options.client, { state: 'Deleted', reason: null, message: null });
}

/** A declared wish that this agent cannot honour yet; it is said in the status, never ignored. Pure. */
function unsupportedReason({ spec }: VolumeDocument): string | undefined {
  const type = spec.disk?.type ?? 'Root';
  if (type !== 'Root') return `spec.disk.type: "${type}" is not implemented yet`;
  const enforcement = spec.enforcement ?? 'Auto';
  if (enforcement === 'Quota' || enforcement === 'File')
    return `spec.enforcement: "${enforcement}" is not implemented yet`;
  return undefined;
}

/** The resource version keeps us from overwriting what the controllers decided meanwhile. */
function report(volume: VolumeDocument, client: ApiClient, status: Record<string, unknown>): Promise<VolumeDocument> {
  const { namespace, name, resourceVersion, generation } = volume.metadata;
  const isReady = status.state === 'Available';
  const before = volume.status?.conditions?.find(({ type }) => type === 'Ready');
  const wanted = isReady ? 'True' : 'False';
  const ready = {
    type: 'Ready',
    status: wanted,
    reason: status.reason ?? status.state,
    message: status.message ?? (isReady ? 'the directory exists' : `the volume is ${status.state}`),
    lastTransitionTime: before?.status === wanted ? before.lastTransitionTime : new Date().toISOString(),
    ...(generation !== undefined && { observedGeneration: generation }),
  };
  const others = (volume.status?.conditions ?? []).filter(({ type }) => type !== 'Ready');
  const patch = {
    metadata: { resourceVersion },
    status: { ...status, observedGeneration: generation, conditions: [...others, ready] },
  };
  return client.mergePatch(Volume, { namespace, name: name ?? '' }, patch, 'status');
}

function identityOf({ metadata, spec }: VolumeDocument): { role: string; id: string } {
  return { role: spec.role ?? '*', id: spec.persistenceId ?? `${metadata.namespace}.${metadata.name}` };
}

function ownerOf({ spec }: VolumeDocument): { uid: number; gid: number; mode: number } {
  const { user, group, mode } = spec.owner ?? {};
  const owner = resolveUser(group === undefined ? (user ?? '0') : `${user ?? '0'}:${group}`);
  return { uid: owner.uid, gid: owner.gid, mode: Number.parseInt(mode ?? '0755', 8) };
}

/** Without spec.owner the volume belongs to the user of its first task: the one who finds it untouched. */
async function giveToFirstUser(path: string, user: { uid: number; gid: number }): Promise<void> {
  if ((await stat(path)).uid !== 0 || (await readdir(path)).length > 0) return;
  await chown(path, user.uid, user.gid);
}

function keyOf({ metadata }: VolumeDocument): string {
  return `${metadata.namespace}/${metadata.name}`;
}
