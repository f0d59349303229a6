/** How a container's run ended, and whether another run follows. Pure. */
import type { Task } from '../../../crds/types.generated.ts';
import type { Termination } from '../../containerizers/containerizer.ts';
import type { ContainerEnd, ContainerRecord } from './record.ts';

export interface RestartRule {
  condition: 'Never' | 'OnFailure' | 'Always';
  /** Absent: no limit. */
  maxRestarts?: number;
  initialSeconds: number;
  factor: number;
  maxSeconds: number;
}

/** The task's restart policy with the schema's defaults. Without a document (a record of version 1) nothing is restarted. */
export function restartRuleOf(task: Task | undefined): RestartRule {
  const { condition = 'Never', maxRestarts, backoff } = task?.spec.restartPolicy ?? {};
  const { initialSeconds = 1, factor = 1.15, maxSeconds = 300 } = backoff ?? {};
  return { condition, ...(maxRestarts !== undefined && { maxRestarts }), initialSeconds, factor, maxSeconds };
}

export function endOfTermination({ finishedAt, containerId: _id, ...facts }: Termination): ContainerEnd {
  return { ...facts, finishedAtMs: finishedAt.getTime() };
}

/** A container that nobody knows any more. */
export function lostEnd(nowMs: number): ContainerEnd {
  return { lost: true, finishedAtMs: nowMs };
}

/** Whether the end is anything but a command that exited with 0 by itself. */
export function isFailure(end: ContainerEnd): boolean {
  return (
    end.lost === true ||
    end.exitCode !== 0 ||
    end.limitation !== undefined ||
    end.oomKilled === true ||
    end.unhealthy === true
  );
}

/** It ended and is not started again. */
export function isDone({ phase, restartAtMs }: ContainerRecord): boolean {
  return (phase === 'Ended' || phase === 'Removed') && restartAtMs === undefined;
}

/** It ended well and is not started again. */
export function isCompleted(container: ContainerRecord): boolean {
  return isDone(container) && container.end !== undefined && !isFailure(container.end);
}

/** It failed and is not started again: the task ends with it. */
export function isFailed(container: ContainerRecord): boolean {
  return isDone(container) && container.end !== undefined && isFailure(container.end);
}

export interface EndCircumstances {
  rule: RestartRule;
  /** The task is being ended, or the machine was restarted: there is no further run. */
  isLast: boolean;
}

/** The container after its newest run ended, with the time of its next run if there is one. */
export function withEnd(
  container: ContainerRecord,
  end: ContainerEnd,
  { rule, isLast }: EndCircumstances,
): ContainerRecord {
  const unhealthy = container.stop?.unhealthy === true || undefined;
  const ended: ContainerEnd = { ...end, ...(unhealthy && { unhealthy }) };
  const failed = isFailure(ended);
  const failures = failed ? (isFreshStart(container, ended, rule) ? 1 : container.failures + 1) : 0;
  const { restartAtMs: _old, pid: _pid, frozen: _frozen, ...rest } = container;
  return {
    ...rest,
    phase: 'Ended',
    end: ended,
    failures,
    ...(!isLast &&
      isRestarted(container, failed, rule) && { restartAtMs: ended.finishedAtMs + delayMs(failures, rule) }),
  };
}

/** An init container that succeeded has done its work, whatever the policy. */
function isRestarted({ init, run }: ContainerRecord, failed: boolean, rule: RestartRule): boolean {
  if (rule.condition === 'Never' || (!failed && (init || rule.condition === 'OnFailure'))) return false;
  return rule.maxRestarts === undefined || run < rule.maxRestarts;
}

/** A run that was healthy, or lasted as long as the longest delay, was a success: failures before it do not count any more. */
function isFreshStart({ startedAtMs, health }: ContainerRecord, end: ContainerEnd, rule: RestartRule): boolean {
  if (startedAtMs === undefined) return false;
  return health?.wasHealthy === true || end.finishedAtMs - startedAtMs >= rule.maxSeconds * 1000;
}

function delayMs(failures: number, { initialSeconds, factor, maxSeconds }: RestartRule): number {
  return Math.min(initialSeconds * factor ** Math.max(0, failures - 1), maxSeconds) * 1000;
}
