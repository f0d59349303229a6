/** Task.status.containers: what the record, and what is under way at this moment, say of each container. Pure. */
import type { ContainerStatus } from '../../../crds/types.generated.ts';
import { isFailed } from './container-end.ts';
import { explainEnd } from './outcome.ts';
import { type ContainerRecord, containerIdOf, type TaskRecord } from './record.ts';
import { waitsFor } from './start-order.ts';

/** What is being done for a container before its command runs; in memory only. */
export interface Activity {
  state: 'Pulling' | 'Fetching';
  progress?: { item: string; doneBytes: number; totalBytes?: number };
}

/** By container name. */
export type Activities = Readonly<Record<string, Activity>>;

export function containerStatuses(record: TaskRecord, activities: Activities): ContainerStatus[] {
  return record.containers.map((container) => containerStatus(record, container, activities[container.name]));
}

function containerStatus(
  record: TaskRecord,
  container: ContainerRecord,
  activity: Activity | undefined,
): ContainerStatus {
  const { name, init, run, image, userNamespace, health, phase, end } = container;
  const wasBegun = phase !== 'Waiting';
  const isLive = phase === 'Intended' || phase === 'Launched';
  const shown = isLive ? undefined : end;
  return {
    name,
    ...(init && { init: true }),
    ...stateOf(record, container, activity),
    restarts: run,
    ...((wasBegun || run > 0) && { containerId: containerIdOf(record, wasBegun ? container : { name, run: run - 1 }) }),
    ...(image !== undefined && { image }),
    ...(userNamespace !== undefined && { userNamespace }),
    ...(phase === 'Launched' && container.pid !== undefined && { pid: container.pid }),
    ...(health?.healthy !== undefined && { healthy: health.healthy }),
    ...(health?.ready !== undefined && { ready: health.ready }),
    ...(health?.lastReadinessResponse !== undefined && { lastReadinessResponse: health.lastReadinessResponse }),
    ...(shown?.exitCode !== undefined && { exitCode: shown.exitCode }),
    ...(shown?.signal !== undefined && { signal: shown.signal }),
    ...(container.startedAtMs !== undefined && phase !== 'Intended' && { startTime: time(container.startedAtMs) }),
    ...(shown && { finishTime: time(shown.finishedAtMs) }),
  };
}

/** State with its reason and message. */
function stateOf(
  record: TaskRecord,
  container: ContainerRecord,
  activity: Activity | undefined,
): Pick<ContainerStatus, 'state' | 'reason' | 'message' | 'progress'> {
  const { phase, end, restartAtMs, run } = container;
  switch (phase) {
    case 'Waiting':
    case 'Intended':
      if (activity !== undefined) return activity;
      if (phase === 'Intended') return { state: 'Starting' };
      if (run > 0) return restarting(container);
      return waiting(record, container);
    case 'Launched':
      if (container.stop !== undefined) return { state: 'Killing' };
      return { state: 'Running', ...(container.frozen && { reason: 'Frozen' }) };
    case 'Ended':
    case 'Removed':
      if (restartAtMs !== undefined) return restarting(container);
      return ended(record, container, end);
  }
}

function waiting(record: TaskRecord, container: ContainerRecord): Pick<ContainerStatus, 'state' | 'message'> {
  if (record.phase !== 'Live') return { state: 'Killed', message: 'it was never started' };
  const reason = waitsFor(record, container);
  return { state: 'Waiting', ...(reason !== undefined && { message: `waits for ${reason}` }) };
}

function restarting({ end, restartAtMs }: ContainerRecord): Pick<ContainerStatus, 'state' | 'reason' | 'message'> {
  const { reason, message } = end ? explainEnd(end) : { reason: undefined, message: 'it ended' };
  const when = restartAtMs === undefined ? '' : `; starts again at ${time(restartAtMs)}`;
  return { state: 'Restarting', ...(reason !== undefined && { reason }), message: `${message}${when}` };
}

function ended(
  record: TaskRecord,
  container: ContainerRecord,
  end: ContainerRecord['end'],
): Pick<ContainerStatus, 'state' | 'reason' | 'message'> {
  if (end === undefined) return { state: 'Killed' };
  const explained = explainEnd(end);
  // What the end of the others took with it has not failed itself.
  const wasKilled = record.kill !== undefined && container.stop !== undefined && record.kill.culprit !== container.name;
  const state =
    wasKilled || end.failure?.reason === 'TaskKilledDuringLaunch'
      ? 'Killed'
      : isFailed(container)
        ? 'Failed'
        : 'Finished';
  const isPlain = state !== 'Failed' && explained.reason !== 'TaskKilledDuringLaunch';
  return {
    state,
    ...(!isPlain && explained.reason !== undefined && { reason: explained.reason }),
    message: explained.message,
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
