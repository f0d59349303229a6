/** Writes what the scheduler decided. Each write is guarded: a document that changed meanwhile is looked at again, never overwritten. */
import { setTimeout as delay } from 'node:timers/promises';
import { isTerminal } from '../../crds/task-states.ts';
import type {
  Condition,
  TaskBinding,
  Task as TaskDocument,
  Volume as VolumeDocument,
} from '../../crds/types.generated.ts';
import type { ApiClient } from '../machinery/client/client.ts';
import { isConflict, isNotFound } from '../machinery/client/errors.ts';
import { Task, Volume } from '../machinery/client/resources.ts';
import { setCondition } from '../machinery/conditions.ts';
import { keyOf, parseKey } from '../machinery/key.ts';
import { patchStatus } from '../machinery/status.ts';
import type { BoundPort, Explanation } from './cluster.ts';

/** Keeps a bound Task until its agent has cleaned up after it. */
export const CLEANUP_FINALIZER = 'tepui.dev/task-cleanup';

const ATTEMPTS = 8;

/** Where and with which ports a task is to run. */
export interface Placement {
  agentName: string;
  agentUid: string;
  hostPorts: readonly BoundPort[];
}

/**
 * Binds the task and returns it as it is then; undefined if it no longer wants the placement (gone, being deleted, killed, bound by
 * somebody else). `known` is the task as the cache has it: in the usual case this is one request.
 */
export async function bindTask(
  client: ApiClient,
  known: TaskDocument | undefined,
  uid: string,
  placement: Placement,
  time: string,
): Promise<TaskDocument | undefined> {
  const binding: TaskBinding = {
    agentName: placement.agentName,
    ...(placement.agentUid ? { agentUid: placement.agentUid } : {}),
    boundTime: time,
    ...(placement.hostPorts.length > 0 ? { hostPorts: placement.hostPorts.map((port) => ({ ...port })) } : {}),
  };
  return retryOnConflict(client, Task, known, (task) => {
    if (task.metadata.uid !== uid || task.metadata.deletionTimestamp || task.spec.desiredState === 'Killed')
      return undefined;
    if (task.spec.binding || isTerminal(task.status?.state)) return undefined;
    const { resourceVersion, finalizers = [] } = task.metadata;
    const withCleanup = finalizers.includes(CLEANUP_FINALIZER) ? finalizers : [...finalizers, CLEANUP_FINALIZER];
    const patch = { metadata: { uid, resourceVersion, finalizers: withCleanup }, spec: { binding } };
    return client.mergePatch(Task, keyOf(task), patch);
  });
}

/** Writes on which agent the volume is, once; returns whether it is on this one. */
export async function bindVolume(
  client: ApiClient,
  known: VolumeDocument | undefined,
  key: string,
  uid: string,
  agent: { agentName: string; agentUid: string; diskName?: string },
  time: string,
): Promise<VolumeDocument | undefined> {
  let agreed: VolumeDocument | undefined;
  const first = known ?? (await client.get(Volume, parseKey(key)));
  const written = await retryOnConflict(client, Volume, first, (volume) => {
    if (volume.metadata.uid !== uid || volume.metadata.deletionTimestamp) return undefined;
    if (volume.status?.agentName) {
      if (volume.status.agentName === agent.agentName) agreed = volume;
      return undefined;
    }
    const status = {
      ...volume.status,
      state: 'Bound' as const,
      agentName: agent.agentName,
      ...(agent.agentUid ? { agentUid: agent.agentUid } : {}),
      ...(agent.diskName === undefined ? {} : { diskName: agent.diskName }),
      boundTime: time,
    };
    return patchStatus(client, Volume, volume, status);
  });
  return written ?? agreed;
}

/** Writes into the status why the task waits; undefined if that is no longer so. */
export async function reportUnplaced(
  client: ApiClient,
  known: TaskDocument | undefined,
  uid: string,
  explanation: Explanation,
  time: string,
): Promise<TaskDocument | undefined> {
  const { totalAgents, reasons, message } = explanation;
  return retryOnConflict(client, Task, known, (task) => {
    if (task.metadata.uid !== uid || task.metadata.deletionTimestamp || task.spec.binding) return undefined;
    if (isTerminal(task.status?.state)) return undefined;
    const condition = { type: 'Scheduled', status: 'False' as const, reason: 'Unschedulable', message };
    const status = {
      ...task.status,
      state: task.status?.state ?? ('Staging' as const),
      reason: 'Unscheduled',
      source: 'Controller' as const,
      message,
      placement: { totalAgents, lastAttemptTime: time, reasons },
      conditions: scheduledCondition(task, condition, time),
    };
    return patchStatus(client, Task, task, status);
  });
}

/** Writes condition Scheduled of a bound task, and takes away why it was not; undefined if its agent has done so already. */
export async function reportPlaced(
  client: ApiClient,
  known: TaskDocument | undefined,
  time: string,
): Promise<TaskDocument | undefined> {
  return retryOnConflict(client, Task, known, (task) => {
    if (!lacksScheduledCondition(task)) return undefined;
    const agentName = task.spec.binding?.agentName;
    const message = `placed on agent "${agentName}"`;
    const condition = { type: 'Scheduled', status: 'True' as const, reason: 'Scheduled', message };
    const { placement, ...status } = task.status ?? {};
    const unscheduled = status.reason === 'Unscheduled' ? { reason: undefined, message: undefined } : {};
    const conditions = scheduledCondition(task, condition, task.spec.binding?.boundTime ?? time);
    return patchStatus(client, Task, task, { state: 'Staging', ...status, ...unscheduled, conditions });
  });
}

/** A task that is placed and does not say so. One that has ended may say nothing (what ends at once costs no write), but not that it waits. */
export function lacksScheduledCondition(task: TaskDocument): boolean {
  if (!task.spec.binding) return false;
  const scheduled = task.status?.conditions?.find(({ type }) => type === 'Scheduled');
  if (task.status?.placement !== undefined || scheduled?.status === 'False') return true;
  return !scheduled && !isTerminal(task.status?.state);
}

function scheduledCondition(
  task: TaskDocument,
  condition: { type: string; status: 'True' | 'False'; reason: string; message: string },
  time: string,
): Condition[] {
  return setCondition(task.status?.conditions, { ...condition, observedGeneration: task.metadata.generation }, time);
}

/** Calls `write` with the document, and again with a fresh one as long as somebody else wrote first. Undefined if it is gone. */
async function retryOnConflict<T extends TaskDocument | VolumeDocument>(
  client: ApiClient,
  resource: Parameters<typeof client.get<T>>[0],
  known: T | undefined,
  write: (document: T) => Promise<T | undefined> | undefined,
): Promise<T | undefined> {
  let document = known;
  for (let attempt = 1; document; attempt += 1) {
    try {
      return await write(document);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (!isConflict(error) || attempt >= ATTEMPTS) throw error;
      // What was in the way may still be on its way to the disk; a read before that would show the old document again.
      if (attempt > 1) await delay(2 ** attempt);
      document = await client.get(resource, keyOf(document));
    }
  }
  return undefined;
}
