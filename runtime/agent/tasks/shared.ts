/** What the containers of a task share: made before the first of them starts, removed after the last is gone. Both are idempotent. */
import type { Task } from '../../../crds/types.generated.ts';
import type { ContainerNetwork, GroupSpec } from '../../containerizers/containerizer.ts';
import { NetworkSetUpFailed, needsNetwork } from '../../network/index.ts';
import type { TaskContext } from './context.ts';
import { groupResources } from './launch.ts';
import type { TaskRecord } from './record.ts';
import type { TaskRunner } from './runner.ts';
import { intend, noteEnds } from './steps.ts';

/** The name under which operations on it go on. */
export const SHARED = '';

export interface SharedParts {
  network?: ContainerNetwork;
}

/** Whether there is anything to make: a container that is alone on the host's network has nothing. */
export function needsShared({ isGroup, task }: TaskRecord): boolean {
  return isGroup || (task !== undefined && needsNetwork(task));
}

/** Whether the agent makes the task's network: not where its containerizer has networks of its own. */
function isConnectedByUs({ containerizer }: TaskContext, task: Task): boolean {
  return needsNetwork(task) && !(containerizer.hasOwnNetworks?.(task) ?? false);
}

/** Rejects when it is worth a retry; a network that cannot be made is noted as the end of a container that needs it. */
export async function prepareShared(runner: TaskRunner, signal: AbortSignal): Promise<void> {
  const { context } = runner;
  const record = runner.requireRecord();
  const { task, groupId, isGroup, userNamespace } = record;
  const parts: SharedParts = {};
  if (task !== undefined && isConnectedByUs(context, task)) {
    try {
      const { network, infos } = await context.slots.use(() => context.networks.setUp(task, groupId, signal));
      if (network !== undefined) parts.network = network;
      runner.changeInMemory((current) => ({ ...current, networkInfos: infos }));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof NetworkSetUpFailed)) throw error;
      await noteFailure(runner, error);
      return;
    }
  }
  if (isGroup && task !== undefined) {
    const group: GroupSpec = {
      groupId,
      task,
      ...parts,
      ...(userNamespace && { userNamespace }),
      ...((task.spec.shareCgroups ?? true) && { resources: groupResources(task, context.policy().defaultPidsLimit) }),
    };
    await context.containerizer.prepareGroup?.(group);
  }
  runner.sharedParts = parts;
  if (isGroup) watchGroup(runner, groupId, parts);
}

/** What was lost is made again before the next start. */
function watchGroup(runner: TaskRunner, groupId: string, parts: SharedParts): void {
  const { containerizer, logger } = runner.context;
  containerizer.groupEnded?.(groupId).then(
    () => {
      if (runner.sharedParts !== parts) return;
      runner.sharedParts = undefined;
      runner.wake();
    },
    (err: unknown) => logger.error({ err, task: runner.name() }, 'waiting for the end of a task group failed'),
  );
}

/** Of one container: the task's rules say what becomes of it and of the others. Not synced: what never ran is tried again after a crash. */
async function noteFailure(runner: TaskRunner, { message }: Error): Promise<void> {
  const { context } = runner;
  context.metrics.launchFailed();
  await runner.change(
    (record) => {
      const { containers } = record;
      const first =
        containers.find(({ phase }) => phase === 'Intended') ?? containers.find(({ phase }) => phase === 'Waiting');
      if (first === undefined) return record;
      const { name, run, phase } = first;
      const begun = phase === 'Waiting' ? intend(record, name) : record;
      const end = { failure: { reason: 'ContainerLaunchFailed', message }, finishedAtMs: context.now() };
      return noteEnds(begun, [{ name, run, end }], context.agent.bootId);
    },
    { durable: false },
  );
}

/** After all containers are gone. The record is then Cleaned, in memory: after a crash it is done again, which is cheaper than an fsync. */
export async function removeShared(runner: TaskRunner): Promise<void> {
  const { containerizer, devices, memoryVolumes, networks, volumes } = runner.context;
  const { isGroup, groupId, gpus, task } = runner.requireRecord();
  if (isGroup) await containerizer.destroyGroup?.(groupId);
  // Most tasks have neither, and looking for what is mounted takes its time.
  if (groupId !== '' && (task === undefined || hasMemoryVolumes(task))) await memoryVolumes.remove(groupId);
  if (groupId !== '' && (task === undefined || needsNetwork(task))) await networks.tearDown(groupId);
  runner.sharedParts = undefined;
  runner.changeInMemory((record) => ({ ...record, phase: 'Cleaned' }));
  const { namespace, volumes: names } = runner.requireRecord();
  volumes.released(namespace, names);
  if (gpus) devices.freed();
  runner.context.idRanges?.release(runner.uid);
}

function hasMemoryVolumes({ spec }: Task): boolean {
  return (spec.volumes ?? []).some(({ tmpfs, secret, configMap }) => tmpfs ?? secret ?? configMap);
}
