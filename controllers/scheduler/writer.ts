/** Interprets the scheduler's actions. A write that fails takes the assumption back that its plan made, so that the next plan decides anew. */
import type { Task as TaskDocument, Volume as VolumeDocument } from '../../crds/types.generated.ts';
import type { ApiClient } from '../machinery/client/client.ts';
import { isBeingTerminated } from '../machinery/client/errors.ts';
import { Task, Volume } from '../machinery/client/resources.ts';
import { setCondition } from '../machinery/conditions.ts';
import type { EventRecorder } from '../machinery/events/recorder.ts';
import { parseKey } from '../machinery/key.ts';
import type { Logger } from '../machinery/logger.ts';
import { patchStatus } from '../machinery/status.ts';
import type { Store } from '../machinery/store/object-store.ts';
import { bindTask, bindVolume, reportPlaced, reportUnplaced } from './bind.ts';
import type { Cluster } from './cluster.ts';
import type { Action } from './plan.ts';
import { removeTask, unassumeTask, upsertTask } from './tasks.ts';
import { unassumeVolume, upsertVolume } from './volumes.ts';

export interface WriterParts {
  cluster: Cluster;
  client: ApiClient;
  tasks: Store<TaskDocument>;
  volumes: Store<VolumeDocument>;
  events: EventRecorder;
  logger: Logger;
  time: () => string;
  planAgain: () => void;
  retryIn: (ms: number, retry: () => void) => void;
}

export type WriteAction = Exclude<Action, { type: 'PlanAgain' }>;

export interface Writer {
  /** Never rejects. */
  write(action: WriteAction): Promise<void>;
  /** Writes condition Scheduled if nobody has. Never rejects. */
  markPlaced(key: string): Promise<void>;
}

/** After a write failed for no reason of the document's own, its task waits this long. */
const RETRY_MS = 1000;

export function createWriter(parts: WriterParts): Writer {
  const { cluster, client, tasks, volumes, events, time } = parts;

  const write = async (action: WriteAction): Promise<void> => {
    switch (action.type) {
      case 'BindTask':
        return bind(parts, action);
      case 'BindVolume': {
        const { key, uid } = action;
        const bound = await bindVolume(client, volumes.get(key), key, uid, action, time());
        if (bound) upsertVolume(cluster, bound);
        else unassumeVolume(cluster, key, uid);
        parts.planAgain();
        return;
      }
      case 'ReportUnplaced': {
        const { key, uid, explanation } = action;
        const reported = await reportUnplaced(client, tasks.get(key), uid, explanation, time());
        if (!reported || !action.isNews) return;
        const { message } = explanation;
        events.record(reported, { type: 'Warning', reason: 'FailedScheduling', action: 'Schedule', message });
        return;
      }
      case 'ReportVolumeUnplaced': {
        const volume = volumes.get(action.key);
        if (volume?.metadata.uid !== action.uid || volume.status?.agentName) return;
        const { message } = action.explanation;
        const condition = { type: 'Ready', status: 'False' as const, reason: 'Unschedulable', message };
        const conditions = setCondition(volume.status?.conditions, condition, time());
        const status = { ...volume.status, state: 'Pending' as const, reason: 'Unschedulable', message, conditions };
        await patchStatus(client, Volume, volume, status);
        events.record(volume, { type: 'Warning', reason: 'FailedScheduling', action: 'Schedule', message });
        return;
      }
    }
  };

  return {
    async write(action) {
      try {
        await write(action);
      } catch (err) {
        await takeBack(parts, action, err);
      }
    },
    async markPlaced(key) {
      try {
        await reportPlaced(client, tasks.get(key), time());
      } catch (err) {
        parts.logger.debug({ err, task: key }, 'Condition of a placed task could not be written');
      }
    },
  };
}

async function bind(parts: WriterParts, action: Extract<Action, { type: 'BindTask' }>): Promise<void> {
  const { cluster, client, tasks, volumes, events, time } = parts;
  const { key, uid, agentName } = action;
  for (const volume of action.volumes) {
    const place = { agentName, agentUid: action.agentUid, diskName: volume.diskName };
    const bound = await bindVolume(client, volumes.get(volume.key), volume.key, volume.uid, place, time());
    if (!bound) return giveUp(parts, action);
    upsertVolume(cluster, bound);
  }
  const bound = await bindTask(client, tasks.get(key), uid, action, time());
  if (!bound) return giveUp(parts, action);
  // Unless the cache is ahead of this answer already: the task may be gone, or another of its name be there.
  const cached = tasks.get(key);
  if (cached?.metadata.uid === uid && !cached.spec.binding) upsertTask(cluster, bound);
  if (action.wasReported) {
    const message = `placed on agent ${agentName}`;
    events.record(bound, { reason: 'Scheduled', action: 'Schedule', message });
  }
}

/** The documents changed so that the placement makes no sense: decide anew from what they say now. */
async function giveUp(
  { cluster, client, planAgain }: WriterParts,
  action: Extract<Action, { type: 'BindTask' }>,
): Promise<void> {
  const { key, uid } = action;
  const [task, ...volumes] = await Promise.all([
    client.get(Task, parseKey(key)),
    ...action.volumes.map((volume) => client.get(Volume, parseKey(volume.key))),
  ]);
  unassumeTask(cluster, key, uid);
  for (const volume of action.volumes) unassumeVolume(cluster, volume.key, volume.uid);
  for (const volume of volumes) if (volume) upsertVolume(cluster, volume);
  if (task) upsertTask(cluster, task);
  else removeTask(cluster, key);
  planAgain();
}

/** The write failed, or nobody knows whether it did: what the documents say counts, some time later. */
async function takeBack(parts: WriterParts, action: WriteAction, err: unknown): Promise<void> {
  const { cluster, logger, planAgain, retryIn } = parts;
  if (isBeingTerminated(err)) logger.debug({ err, op: action.type, task: action.key }, 'Scheduler write was refused');
  else logger.warn({ err, op: action.type, task: action.key }, 'Scheduler write failed, trying again');
  retryIn(RETRY_MS, () => {
    switch (action.type) {
      case 'BindTask':
        void giveUp(parts, action).catch((again) => takeBack(parts, action, again));
        return;
      case 'BindVolume':
        unassumeVolume(cluster, action.key, action.uid);
        break;
      case 'ReportUnplaced': {
        const task = cluster.tasks.get(action.key);
        if (task?.uid === action.uid) task.reported = undefined;
        break;
      }
      case 'ReportVolumeUnplaced': {
        const volume = cluster.volumes.get(action.key);
        if (volume?.uid === action.uid) volume.reported = undefined;
        break;
      }
    }
    planAgain();
  });
}
