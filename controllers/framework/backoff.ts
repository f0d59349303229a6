/**
 * The growing delay before a failing task is replaced. It is kept in status and not derived from the ended Tasks, which history limits
 * remove: `untilTime - delaySeconds` is the end of the last failure that was counted, so each is counted once, also over restarts.
 */
import type { Backoff, BackoffStatus } from '../../crds/types.generated.ts';
import type { TaskView } from './task-view.ts';
import { fromTime, toPreciseTime } from './times.ts';

/** A task that has been up for this long (and for longer than the delay) ends the series of failures. */
const SUCCESS_AFTER_MS = 60_000;

export interface BackoffNow {
  status: BackoffStatus;
  /** Until then nothing is launched; undefined if something may be launched now. */
  waitUntilMs: number | undefined;
  /** When to look again whether the series of failures has ended. */
  lookAgainAtMs: number | undefined;
  /** The failures that were counted just now. */
  counted: TaskView[];
}

/** No failures so far; those up to `nowMs` are not held against a new revision, nor against one that is taken up again. */
export function freshBackoff(nowMs: number): BackoffStatus {
  return withoutFailures(nowMs);
}

/** `tasks` are those of the current revision. */
export function updateBackoff(
  before: BackoffStatus | undefined,
  tasks: readonly TaskView[],
  settings: Backoff | undefined,
  nowMs: number,
): BackoffNow {
  const lastMs = lastFailureMs(before);
  const counted = tasks.filter((task) => isFailure(task) && task.endedAtMs > lastMs);
  const failures = (before?.failures ?? 0) + counted.length;
  const failedAtMs = Math.max(lastMs, ...counted.map((task) => task.endedAtMs));
  const over = { status: withoutFailures(failedAtMs), waitUntilMs: undefined, lookAgainAtMs: undefined, counted };
  if (failures === 0) return over;
  const delaySeconds = delayAfter(failures, settings);
  const steadyMs = Math.max(SUCCESS_AFTER_MS, delaySeconds * 1000);
  const survivors = tasks.filter((task) => task.ready && task.readySinceMs >= failedAtMs);
  const oldestMs = Math.min(...survivors.map((task) => task.readySinceMs));
  if (oldestMs + steadyMs <= nowMs) return over;
  const untilMs = failedAtMs + delaySeconds * 1000;
  return {
    status: { failures, delaySeconds, untilTime: toPreciseTime(untilMs) },
    waitUntilMs: untilMs > nowMs ? untilMs : undefined,
    lookAgainAtMs: Number.isFinite(oldestMs) ? oldestMs + steadyMs : undefined,
    counted,
  };
}

/** Any end that nobody asked for and no lost or drained agent explains; a Service's task is not meant to finish either. */
export function isFailure({ terminal, deleting, state, task }: TaskView): boolean {
  if (!terminal || deleting) return false;
  switch (state) {
    case 'Gone':
    case 'GoneByOperator':
    case 'Killed':
      return false;
    default:
      return task.status?.reason !== 'AgentDraining';
  }
}

/** The time stays, else the ended Tasks that still exist would be counted again. */
function withoutFailures(lastMs: number): BackoffStatus {
  return { failures: 0, delaySeconds: 0, ...(Number.isFinite(lastMs) ? { untilTime: toPreciseTime(lastMs) } : {}) };
}

function delayAfter(failures: number, settings: Backoff | undefined): number {
  const initial = settings?.initialSeconds ?? 1;
  const factor = settings?.factor ?? 1.15;
  const delay = Math.min(settings?.maxSeconds ?? 300, initial * factor ** (failures - 1));
  return Math.round(delay * 1000) / 1000;
}

function lastFailureMs(before: BackoffStatus | undefined): number {
  const untilMs = fromTime(before?.untilTime);
  return untilMs === undefined ? Number.NEGATIVE_INFINITY : untilMs - (before?.delaySeconds ?? 0) * 1000;
}
