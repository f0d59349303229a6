/**
 * What to do next for one task. Pure, total, level-triggered: it sees the document, the local record and the container as they are now, and
 * answers with a closed set of actions which act.ts carries out in order. A settled task has the plan [].
 */
import type { Termination } from '../../containerizers/containerizer.ts';
import { lostOutcome, outcomeOf } from './outcome.ts';
import type { KillCause, TaskRecord } from './record.ts';
import { isTerminal, type Transition } from './status.ts';

export const TASK_FINALIZER = 'tepui.dev/task-cleanup';

/** SIGKILL is repeated after this time when a container does not end (a process in uninterruptible sleep, a frozen cgroup). */
export const FORCE_AGAIN_MS = 10_000;

export type ContainerView =
  /** The containerizer knows no such container. `neverStarted` when there is proof that its command never ran. */
  { kind: 'None'; neverStarted: boolean } | { kind: 'Running' } | { kind: 'Ended'; termination: Termination };

/** Whether a task without a record could be started now; looked at for such tasks only. */
export type Readiness =
  | { kind: 'Ready' }
  /** Something the document names is not there yet; an event will come. */
  | { kind: 'Waiting'; message: string }
  /** It can never run as it is. */
  | { kind: 'Invalid'; message: string }
  /** It needs something that does not exist here. */
  | { kind: 'Missing'; message: string };

/** The document as far as the plan looks at it; every field is what the newest known version says. */
export interface DocumentView {
  state: string | undefined;
  message: string | undefined;
  containerId: string | undefined;
  deleting: boolean;
  killWanted: boolean;
  hasFinalizer: boolean;
  /** Whether the status already says what the record says. */
  reported: boolean;
}

export interface Observed {
  bootId: string;
  document: DocumentView | undefined;
  /** Whether a missing document is known to be missing: false until the first complete list. */
  documentsKnown: boolean;
  record: TaskRecord | undefined;
  container: ContainerView;
  readiness: Readiness;
}

export type Action =
  | { type: 'Launch' }
  /** The container of an interrupted launch turned out to run. */
  | { type: 'TakeBack' }
  /** Sends the stop signal to every process and starts the grace period. */
  | { type: 'Kill'; cause: KillCause }
  /** Sends SIGKILL to every process. */
  | { type: 'ForceKill' }
  /** Makes a terminal outcome durable. */
  | { type: 'Settle'; step: Transition }
  /** Removes the container's processes, cgroups and mounts. */
  | { type: 'Destroy' }
  /** Notes that the agent is back after the controllers had given up on it. */
  | { type: 'Reregister' }
  /** Says in Task.status why a task is not started yet. */
  | { type: 'Explain'; message: string }
  /** Writes the record's report into Task.status. */
  | { type: 'Report' }
  | { type: 'RemoveFinalizer' }
  /** Drops record and sandbox. */
  | { type: 'Forget' }
  | { type: 'WakeAt'; timeMs: number };

/** The next steps, in order. `nowMs` is the clock. */
export function plan(observed: Observed, nowMs: number): Action[] {
  const { record } = observed;
  if (record === undefined) return planUnrecorded(observed);
  switch (record.phase) {
    case 'Cleaned':
      return planCleaned(observed);
    case 'Ended':
      return [{ type: 'Destroy' }];
    default:
      return planLive(observed, record, nowMs);
  }
}

/** No record: this agent has never started the task. It is started at most once, and only if nothing says that it ran before. */
function planUnrecorded({ document, readiness }: Observed): Action[] {
  if (document === undefined) return [];
  if (isTerminal(document.state)) return finalizerActions(document);
  if (wasStarted(document)) {
    const message = 'the agent has no record of this container: its data directory was replaced';
    return [settle({ state: 'Gone', reason: 'AgentRestarted', message })];
  }
  if (document.deleting || document.killWanted) {
    return [settle({ state: 'Killed', reason: 'TaskKilledDuringLaunch', message: 'killed before it was started' })];
  }
  switch (readiness.kind) {
    case 'Ready':
      return [{ type: 'Launch' }];
    case 'Waiting':
      return document.message === readiness.message ? [] : [{ type: 'Explain', message: readiness.message }];
    case 'Invalid':
      return [settle({ state: 'Error', reason: 'TaskInvalid', message: readiness.message })];
    case 'Missing':
      return [settle({ state: 'Dropped', reason: 'ResourcesUnknown', message: readiness.message })];
  }
}

/** Intended or launched: the container may be running, may have ended, may be gone. */
function planLive(observed: Observed, record: TaskRecord, nowMs: number): Action[] {
  const { container, bootId } = observed;
  switch (container.kind) {
    case 'Ended':
      return [settle(outcomeOf(record, container.termination, bootId))];
    case 'None':
      if (container.neverStarted && record.phase === 'Intended') return planNeverStarted(observed);
      return [settle(lostOutcome(record, bootId))];
    case 'Running':
      // A container of another boot cannot be ours, whatever its id says.
      if (record.bootId !== bootId) return [settle(lostOutcome(record, bootId))];
      return planRunning(observed, record, nowMs);
  }
}

/** The launch was checkpointed but its command provably never ran: it may be started now. */
function planNeverStarted({ document, documentsKnown }: Observed): Action[] {
  if (document === undefined) {
    return documentsKnown ? [settle({ state: 'Dropped', message: 'its Task document is gone' })] : [];
  }
  if (isTerminal(document.state))
    return [settle({ state: 'Dropped', message: 'its Task document is in a terminal state' })];
  if (document.deleting || document.killWanted) {
    return [settle({ state: 'Killed', reason: 'TaskKilledDuringLaunch', message: 'killed before it was started' })];
  }
  return [{ type: 'Launch' }];
}

function planRunning(observed: Observed, record: TaskRecord, nowMs: number): Action[] {
  if (record.phase === 'Intended') return [{ type: 'TakeBack' }];
  const { document } = observed;
  const actions: Action[] = [];
  const cause = killCause(observed, record, nowMs);
  if (record.kill === undefined) {
    if (cause !== undefined) return [{ type: 'Kill', cause }];
    const end = completionDeadline(record);
    if (end !== undefined) actions.push({ type: 'WakeAt', timeMs: end });
  } else {
    const { deadlineMs, forcedAtMs } = record.kill;
    const next = forcedAtMs === undefined ? deadlineMs : forcedAtMs + FORCE_AGAIN_MS;
    if (nowMs >= next) return [{ type: 'ForceKill' }];
    actions.push({ type: 'WakeAt', timeMs: next });
  }
  if (document !== undefined && !document.reported) {
    const returned = document.state === 'Unreachable' && record.kill === undefined;
    if (returned && record.report.reason !== 'AgentReregistered') return [{ type: 'Reregister' }];
    actions.push({ type: 'Report' });
  }
  return actions;
}

/** Nothing of the container is left: tell, release the document, forget. */
function planCleaned({ document, documentsKnown }: Observed): Action[] {
  if (document === undefined) return documentsKnown ? [{ type: 'Forget' }] : [];
  if (!document.reported) return [{ type: 'Report' }];
  return finalizerActions(document);
}

function finalizerActions(document: DocumentView): Action[] {
  return document.deleting && document.hasFinalizer ? [{ type: 'RemoveFinalizer' }] : [];
}

function killCause({ document, documentsKnown }: Observed, record: TaskRecord, nowMs: number): KillCause | undefined {
  if (document === undefined) return documentsKnown ? 'DocumentGone' : completionCause(record, nowMs);
  if (isTerminal(document.state)) return 'DocumentTerminal';
  if (document.deleting || document.killWanted) return 'Requested';
  return completionCause(record, nowMs);
}

function completionCause(record: TaskRecord, nowMs: number): KillCause | undefined {
  const end = completionDeadline(record);
  return end !== undefined && nowMs >= end ? 'MaxCompletionTime' : undefined;
}

function completionDeadline({ startedAtMs, maxCompletionTimeSeconds }: TaskRecord): number | undefined {
  if (startedAtMs === undefined || maxCompletionTimeSeconds === undefined) return undefined;
  return startedAtMs + maxCompletionTimeSeconds * 1000;
}

/** Only an agent writes these; without a record here it was another data directory's agent. */
function wasStarted(document: DocumentView): boolean {
  return document.containerId !== undefined || ['Starting', 'Running', 'Killing'].includes(document.state ?? '');
}

function settle(step: Transition): Action {
  return { type: 'Settle', step };
}
