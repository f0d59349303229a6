/** Carries out the actions of a plan, in order. */
import type { Framework as FrameworkDocument, Task as TaskDocument } from '../../crds/types.generated.ts';
import type { ApiClient } from '../machinery/client/client.ts';
import { isAlreadyExists, isBeingTerminated, isInvalid } from '../machinery/client/errors.ts';
import { Framework, Task, Volume } from '../machinery/client/resources.ts';
import type { EventRecorder } from '../machinery/events/recorder.ts';
import { removeFinalizer } from '../machinery/finalizers.ts';
import { keyOf } from '../machinery/key.ts';
import { isControlledBy } from '../machinery/owners.ts';
import { patchStatus } from '../machinery/status.ts';
import type { Action } from './actions.ts';
import { ACCOUNTING_FINALIZER } from './names.ts';
import type { RecentWrites } from './recent-writes.ts';

export interface Performer {
  client: ApiClient;
  events: EventRecorder;
  recentFrameworks: RecentWrites<FrameworkDocument>;
  recentTasks: RecentWrites<TaskDocument>;
  /** A Task that the plan's names refer to. */
  findTask: (name: string) => TaskDocument | undefined;
  /** Told when the server says that the Tasks of this Framework are not valid. */
  onRejected: (framework: FrameworkDocument, message: string) => void;
}

/** Requests of one kind that are under way at a time. */
const AT_A_TIME = 16;

/** Returns when to plan again, in milliseconds. Rejects with the first error; what comes after it in the plan is not done. */
export async function perform(
  performer: Performer,
  framework: FrameworkDocument,
  actions: readonly Action[],
): Promise<number | undefined> {
  let againAfterMs: number | undefined;
  for (const batch of batches(actions)) {
    const results = await Promise.allSettled(batch.map((action) => performOne(performer, framework, action)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    for (const action of batch) {
      if (action.type === 'PlanAgain') againAfterMs = Math.min(againAfterMs ?? action.afterMs, action.afterMs);
    }
  }
  return againAfterMs;
}

/** Actions of the same type that follow each other do not depend on each other. */
function* batches(actions: readonly Action[]): Generator<Action[]> {
  let batch: Action[] = [];
  for (const action of actions) {
    if (batch.length >= AT_A_TIME || (batch.length > 0 && batch[0]!.type !== action.type)) {
      yield batch;
      batch = [];
    }
    batch.push(action);
  }
  if (batch.length > 0) yield batch;
}

async function performOne(performer: Performer, framework: FrameworkDocument, action: Action): Promise<void> {
  const { client, events, recentFrameworks } = performer;
  switch (action.type) {
    case 'WriteStatus': {
      const written = await patchStatus(client, Framework, framework, action.status);
      if (written) recentFrameworks.wrote(written);
      return;
    }
    case 'CreateVolume':
      await client.create(Volume, action.volume).catch((error: unknown) => {
        if (!isAlreadyExists(error)) throw error;
      });
      return;
    case 'CreateTask':
      return createTask(performer, framework, action.task);
    case 'DeleteTask':
      return deleteTask(performer, action.name, action.uid);
    case 'RemoveAccounting': {
      const task = performer.findTask(action.name);
      if (task?.metadata.uid === action.uid) await removeFinalizer(client, Task, task, ACCOUNTING_FINALIZER);
      return;
    }
    case 'DeleteFramework':
      await client.delete(Framework, keyOf(framework), {
        uid: framework.metadata.uid,
        propagationPolicy: 'Background',
      });
      return;
    case 'RecordEvent': {
      const { severity, reason, note, action: what } = action;
      events.record(framework, { type: severity, reason, message: note, action: what });
      return;
    }
    case 'PlanAgain':
      return;
  }
}

async function createTask(performer: Performer, framework: FrameworkDocument, task: TaskDocument): Promise<void> {
  const { client, recentTasks, events } = performer;
  try {
    recentTasks.wrote(await client.create(Task, task));
  } catch (error) {
    if (isAlreadyExists(error)) {
      const existing = await client.get(Task, keyOf(task));
      if (existing) recentTasks.wrote(existing);
      // Our own, made by an attempt whose answer was lost or that the cache does not show: that is what was asked for. Otherwise the next
      // plan knows of the name and takes another.
      if (existing && isControlledBy(existing, framework)) return;
    }
    if (isBeingTerminated(error)) return;
    if (isInvalid(error)) {
      const message = error instanceof Error ? error.message : String(error);
      performer.onRejected(framework, message);
      events.record(framework, { type: 'Warning', reason: 'TaskRejected', message, action: 'CreateTasks' });
    }
    throw error;
  }
}

async function deleteTask({ client, recentTasks, findTask }: Performer, name: string, uid: string): Promise<void> {
  const task = findTask(name);
  if (task?.metadata.uid !== uid) return;
  await client.delete(Task, keyOf(task), { uid, propagationPolicy: 'Background' });
  recentTasks.deleted(task);
}
