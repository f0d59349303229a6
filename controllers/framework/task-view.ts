/** A Task document as the plans see it. */
import { isTerminal } from '../../crds/task-states.ts';
import type { Condition, Task } from '../../crds/types.generated.ts';
import { ACCOUNTING_FINALIZER, REVISION_LABEL } from './names.ts';
import { fromTime } from './times.ts';

export interface TaskView {
  readonly task: Task;
  readonly name: string;
  readonly uid: string;
  readonly index: number;
  readonly revision: string;
  readonly state: string;
  /** Ended; its document is history. */
  readonly terminal: boolean;
  /** Its document is being deleted: it ends, or has ended. */
  readonly deleting: boolean;
  readonly placed: boolean;
  readonly ready: boolean;
  readonly readySinceMs: number;
  readonly createdAtMs: number;
  readonly endedAtMs: number;
  readonly unreachableSinceMs: number | undefined;
  /** It has data on its agent's disk, so nothing can stand in for it elsewhere. */
  readonly hasVolumes: boolean;
  /** Why it could not be placed, by reason; empty if it was or was not tried. */
  readonly unplacedReasons: readonly string[];
  readonly unplacedMessage: string | undefined;
  /** Still waits to be counted by its Job. */
  readonly accounting: boolean;
}

export function viewTask(task: Task, nowMs: number): TaskView {
  const { metadata, spec, status } = task;
  const state = status?.state ?? 'Staging';
  const terminal = isTerminal(state);
  const deleting = metadata.deletionTimestamp !== undefined;
  const createdAtMs = fromTime(metadata.creationTimestamp) ?? 0;
  const readyCondition = conditionOf(task, 'Ready');
  const scheduled = conditionOf(task, 'Scheduled');
  const placed = spec.binding !== undefined;
  return {
    task,
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    index: spec.index ?? 0,
    revision: metadata.labels?.[REVISION_LABEL] ?? '',
    state,
    terminal,
    deleting,
    placed,
    ready:
      state === 'Running' &&
      !deleting &&
      (readyCondition ? readyCondition.status === 'True' : status?.healthy !== false),
    readySinceMs: fromTime(readyCondition?.lastTransitionTime) ?? fromTime(status?.startTime) ?? createdAtMs,
    createdAtMs,
    // A clock that is ahead on an agent must not delay replacements.
    endedAtMs: Math.min(nowMs, fromTime(status?.finishTime) ?? nowMs),
    unreachableSinceMs: state === 'Unreachable' ? (fromTime(status?.unreachableTime) ?? nowMs) : undefined,
    hasVolumes: (spec.volumes ?? []).some(({ volume }) => volume !== undefined),
    unplacedReasons: placed || terminal ? [] : (status?.placement?.reasons ?? []).map(({ reason }) => reason),
    unplacedMessage: !placed && !terminal && scheduled?.status === 'False' ? scheduled.message : undefined,
    accounting: metadata.finalizers?.includes(ACCOUNTING_FINALIZER) ?? false,
  };
}

export function conditionOf(
  object: { status?: { conditions?: readonly Condition[] } },
  type: string,
): Condition | undefined {
  return object.status?.conditions?.find((condition) => condition.type === type);
}

/** "Failed (ExitCode): exit code 1", for events and conditions. */
export function describeEnd({ task, state }: TaskView): string {
  const { reason, message } = task.status ?? {};
  return `${state}${reason ? ` (${reason})` : ''}${message ? `: ${message}` : ''}`;
}
