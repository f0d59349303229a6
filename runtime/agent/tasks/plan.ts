/**
 * What to do next for one task. Pure, total, level-triggered: it sees the document, the local record and the containers as they are now, and
 * answers with a closed set of actions which act.ts carries out in order. A settled task has the plan [].
 */
import type { Termination } from '../../containerizers/containerizer.ts';
import { endOfTermination, isCompleted, lostEnd, restartRuleOf } from './container-end.ts';
import { culpritOf, taskOutcome } from './outcome.ts';
import type { ContainerRecord, KillCause, KillRecord, TaskRecord } from './record.ts';
import { impossibleDependency, waitsFor } from './start-order.ts';
import { isTerminal, type Transition } from './status.ts';
import { type EndedRun, noteEnds } from './steps.ts';

export const TASK_FINALIZER = 'tepui.dev/task-cleanup';

/** SIGKILL is repeated after this time when a container does not end (a process in uninterruptible sleep, a frozen cgroup). */
export const FORCE_AGAIN_MS = 10_000;
/** A live update that was refused is tried again after this time: what stood against it may be gone. */
export const UPDATE_AGAIN_MS = 60_000;

export type ContainerView =
  /** The containerizer knows no such container. `neverStarted` when there is proof that its command never ran. */
  { kind: 'None'; neverStarted: boolean } | { kind: 'Running' } | { kind: 'Ended'; termination: Termination };

/** Whether a task without a record could be started now; looked at for such tasks only. */
export type Readiness =
  | { kind: 'Ready' }
  /** Something the document names is not there yet; an event will come. */
  | { kind: 'Waiting'; reason?: 'WaitingForVolume' | 'WaitingForGpus'; message: string }
  /** It can never run as it is. */
  | { kind: 'Invalid'; message: string }
  /** It needs something that does not exist here. */
  | { kind: 'Missing'; message: string };

/** The document as far as the plan looks at it; every field is what the newest known version says. */
export interface DocumentView {
  state: string | undefined;
  message: string | undefined;
  containerId: string | undefined;
  generation: number;
  deleting: boolean;
  killWanted: boolean;
  /** Of its kill policy. */
  killGraceSeconds: number;
  freezeWanted: boolean;
  hasFinalizer: boolean;
  /** Whether the status already says what the record says. */
  reported: boolean;
  /** Containers whose cpu or memory the document wants otherwise than they are. */
  resourceChanges: string[];
}

export interface Observed {
  bootId: string;
  document: DocumentView | undefined;
  /** Whether a missing document is known to be missing: false until the first complete list. */
  documentsKnown: boolean;
  record: TaskRecord | undefined;
  /** Of the newest runs, by name. */
  containers: Readonly<Record<string, ContainerView>>;
  /** Containers that are being started or removed at this moment. */
  busy: ReadonlySet<string>;
  /** What the containers share: made by this agent process or not needed, being made or removed, or neither. */
  shared: 'Ready' | 'Busy' | 'Absent';
  readiness: Readiness;
}

export type Action =
  /** Makes the record: from then on the task is this agent's. */
  | { type: 'Launch' }
  /** Makes what the containers share. */
  | { type: 'PrepareShared' }
  /** Starts the next run of a container. */
  | { type: 'Start'; name: string }
  /** The container of an interrupted launch turned out to run. */
  | { type: 'TakeBack'; name: string }
  /** Makes it durable how containers ended while others go on. */
  | { type: 'NoteEnds'; ends: EndedRun[] }
  /** Ends the whole task: stop signal to every process, and the grace period begins. */
  | { type: 'Kill'; kill: KillRecord; ends: EndedRun[]; running: string[] }
  /** Ends one container by the kill policy. */
  | { type: 'Stop'; name: string; unhealthy: boolean }
  /** Sends SIGKILL to every process of a container. */
  | { type: 'ForceKill'; name: string }
  /** Stops or resumes every process of a container. */
  | { type: 'Freeze'; name: string; frozen: boolean }
  /** Applies the document's cpu and memory to running containers. */
  | { type: 'UpdateResources'; names: string[] }
  /** Makes it durable that this agent never runs the task, if its policy of this moment says the same. */
  | { type: 'Refuse' }
  /** Makes a terminal outcome durable. */
  | { type: 'Settle'; step: Transition; ends: EndedRun[] }
  /** Removes a container's processes, cgroups and mounts. */
  | { type: 'Remove'; name: string }
  /** Removes what the containers shared. */
  | { type: 'RemoveShared' }
  /** Notes that the agent is back after the controllers had given up on it. */
  | { type: 'Reregister' }
  /** Says in Task.status why a task is not started yet. */
  | { type: 'Explain'; reason: 'WaitingForVolume' | 'WaitingForGpus' | 'Frozen'; message: string }
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
      return planEnded(observed, record);
    case 'Live':
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
  const explain = (reason: 'WaitingForVolume' | 'WaitingForGpus' | 'Frozen', message: string): Action[] =>
    document.message === message ? [] : [{ type: 'Explain', reason, message }];
  switch (readiness.kind) {
    case 'Ready':
      if (document.freezeWanted)
        return explain('Frozen', 'spec.desiredState is Frozen: it is started when that is Running');
      return [{ type: 'Launch' }];
    case 'Waiting':
      return explain(readiness.reason ?? 'WaitingForVolume', readiness.message);
    case 'Invalid':
      return [{ type: 'Refuse' }];
    case 'Missing':
      return [settle({ state: 'Dropped', reason: 'ResourcesUnknown', message: readiness.message })];
  }
}

/** The outcome is open: containers may be running, may have ended, may be gone. */
function planLive(observed: Observed, record: TaskRecord, nowMs: number): Action[] {
  const found = record.containers.filter(
    (container) =>
      container.phase === 'Intended' && isRunning(observed, record, container) && !isBusy(observed, container),
  );
  if (found.length > 0) return found.map(({ name }) => ({ type: 'TakeBack', name }));
  const ends = endedRuns(observed, record, nowMs);
  const noted = noteEnds(record, ends, observed.bootId);
  const running = noted.containers.filter((container) => isRunning(observed, noted, container));
  const isStill = running.length === 0 && !noted.containers.some((container) => isBusy(observed, container));
  const kill = noted.kill ?? causeToEnd(observed, noted, nowMs);
  const isFinished = noted.containers.every(isCompleted);
  if (isStill && (kill !== undefined || isFinished)) {
    return [{ type: 'Settle', step: taskOutcome(noted, observed.bootId, kill), ends }];
  }
  if (kill !== undefined && record.kill === undefined) {
    return [{ type: 'Kill', kill, ends, running: running.map(({ name }) => name) }];
  }
  if (ends.length > 0) return [{ type: 'NoteEnds', ends }];
  const steps = kill === undefined ? planGoingOn(observed, record, nowMs) : planEnding(observed, record, nowMs);
  const wakes = steps.flatMap((action) => (action.type === 'WakeAt' ? [action.timeMs] : []));
  const others = steps.filter(({ type }) => type !== 'WakeAt');
  return [
    ...others,
    ...(wakes.length > 0 ? [{ type: 'WakeAt' as const, timeMs: Math.min(...wakes) }] : []),
    ...reportActions(observed, record),
  ];
}

/** Runs whose end nobody has noted yet. */
function endedRuns(observed: Observed, record: TaskRecord, nowMs: number): EndedRun[] {
  return record.containers.flatMap((container) => {
    const { name, run, phase } = container;
    if ((phase !== 'Intended' && phase !== 'Launched') || isBusy(observed, container)) return [];
    const view = viewOf(observed, container);
    if (view.kind === 'Ended') return [{ name, run, end: endOfTermination(view.termination) }];
    // A container of another boot cannot be ours, whatever its id says.
    const isLost =
      view.kind === 'None' ? !(view.neverStarted && phase === 'Intended') : record.bootId !== observed.bootId;
    return isLost ? [{ name, run, end: lostEnd(nowMs) }] : [];
  });
}

/** Why the task is to be ended now; undefined while it may go on. */
function causeToEnd(observed: Observed, record: TaskRecord, nowMs: number): KillRecord | undefined {
  const because = (cause: KillCause, culprit?: string): KillRecord => ({
    cause,
    ...(culprit !== undefined && { culprit }),
    requestedAtMs: nowMs,
  });
  const { document, documentsKnown, bootId } = observed;
  const culprit = culpritOf(record);
  if (culprit !== undefined) return because('ContainerFailed', culprit.name);
  if (record.containers.every(isCompleted)) return undefined;
  // Whatever was to come next belongs to a boot that is over.
  if (record.bootId !== bootId) return because('ContainerFailed');
  if (document === undefined && documentsKnown) return because('DocumentGone');
  if (document !== undefined && isTerminal(document.state)) return because('DocumentTerminal');
  if (document !== undefined && (document.deleting || document.killWanted)) return because('Requested');
  const end = completionDeadline(record);
  if (end !== undefined && nowMs >= end) return because('MaxCompletionTime');
  const unhealthy = record.containers.find(({ health }) => health?.failed !== undefined);
  if (unhealthy !== undefined && restartRuleOf(record.task).condition === 'Never')
    return because('Unhealthy', unhealthy.name);
  const impossible = impossibleDependency(record);
  return impossible && because('DependencyImpossible', impossible.name);
}

function planGoingOn(observed: Observed, record: TaskRecord, nowMs: number): Action[] {
  const actions: Action[] = [];
  const end = completionDeadline(record);
  if (end !== undefined) actions.push({ type: 'WakeAt', timeMs: end });
  for (const container of record.containers) {
    if (!isBusy(observed, container)) actions.push(...planContainer(observed, record, container, nowMs));
  }
  if (observed.shared !== 'Ready' && actions.some(({ type }) => type === 'Start')) {
    const others = actions.filter(({ type }) => type !== 'Start');
    return observed.shared === 'Busy' ? others : [...others, { type: 'PrepareShared' }];
  }
  return [...actions, ...planUpdate(observed, record, nowMs)];
}

/** One container of a task that goes on. */
function planContainer(observed: Observed, record: TaskRecord, container: ContainerRecord, nowMs: number): Action[] {
  const { name } = container;
  switch (container.phase) {
    case 'Removed':
      return [];
    case 'Ended':
      return [{ type: 'Remove', name }];
    case 'Launched': {
      if (container.stop !== undefined) return planForce(observed, container, container.stop, nowMs);
      if (container.health?.failed !== undefined) return [{ type: 'Stop', name, unhealthy: true }];
      const frozen = observed.document?.freezeWanted ?? container.frozen ?? false;
      return frozen === (container.frozen ?? false) ? [] : [{ type: 'Freeze', name, frozen }];
    }
    case 'Waiting':
    case 'Intended': {
      if (waitsFor(record, container) !== undefined || !mayStart(observed, record)) return [];
      const { restartAtMs = 0 } = container;
      return restartAtMs > nowMs ? [{ type: 'WakeAt', timeMs: restartAtMs }] : [{ type: 'Start', name }];
    }
  }
}

/** Nothing starts while the task is frozen; and the first start waits for the document, which may have been deleted meanwhile. */
function mayStart({ document }: Observed, record: TaskRecord): boolean {
  if (document === undefined) return record.startedAtMs !== undefined;
  return !document.freezeWanted;
}

/** What still runs of a task that is to end. */
function planEnding(observed: Observed, record: TaskRecord, nowMs: number): Action[] {
  return record.containers.flatMap((container): Action[] => {
    if (container.phase !== 'Launched' || isBusy(observed, container)) return [];
    if (container.stop === undefined) return [{ type: 'Stop', name: container.name, unhealthy: false }];
    return planForce(observed, container, container.stop, nowMs);
  });
}

/** As in Mesos a grace period that has begun may be shortened, and not made longer. */
function planForce(
  { document }: Observed,
  { name }: ContainerRecord,
  { requestedAtMs, deadlineMs, forcedAtMs }: NonNullable<ContainerRecord['stop']>,
  nowMs: number,
): Action[] {
  const shortenedMs = document === undefined ? deadlineMs : requestedAtMs + document.killGraceSeconds * 1000;
  const next = forcedAtMs === undefined ? Math.min(deadlineMs, shortenedMs) : forcedAtMs + FORCE_AGAIN_MS;
  return nowMs >= next ? [{ type: 'ForceKill', name }] : [{ type: 'WakeAt', timeMs: next }];
}

function planUpdate({ document, busy }: Observed, record: TaskRecord, nowMs: number): Action[] {
  const names = (document?.resourceChanges ?? []).filter((name) => !busy.has(name));
  if (names.length === 0) return [];
  const { refusedUpdate } = record;
  if (refusedUpdate?.generation === document?.generation && refusedUpdate !== undefined) {
    const again = refusedUpdate.atMs + UPDATE_AGAIN_MS;
    if (nowMs < again) return [{ type: 'WakeAt', timeMs: again }];
  }
  return [{ type: 'UpdateResources', names }];
}

function reportActions({ document }: Observed, record: TaskRecord): Action[] {
  if (document === undefined || document.reported) return [];
  const isBack = document.state === 'Unreachable' && record.kill === undefined && record.startedAtMs !== undefined;
  if (isBack && record.report.reason !== 'AgentReregistered') return [{ type: 'Reregister' }];
  return [{ type: 'Report' }];
}

/** The outcome is durable: remove what is left, the containers first. */
function planEnded(observed: Observed, record: TaskRecord): Action[] {
  const left = record.containers.filter(({ phase }) => phase !== 'Removed' && phase !== 'Waiting');
  if (left.length > 0) {
    return left
      .filter((container) => !isBusy(observed, container))
      .map(({ name }) => ({ type: 'Remove' as const, name }));
  }
  return observed.shared === 'Busy' ? [] : [{ type: 'RemoveShared' }];
}

/** Nothing of the containers is left: tell, release the document, forget. */
function planCleaned({ document, documentsKnown }: Observed): Action[] {
  if (document === undefined) return documentsKnown ? [{ type: 'Forget' }] : [];
  if (!document.reported) return [{ type: 'Report' }];
  return finalizerActions(document);
}

function finalizerActions(document: DocumentView): Action[] {
  return document.deleting && document.hasFinalizer ? [{ type: 'RemoveFinalizer' }] : [];
}

function isRunning(observed: Observed, record: TaskRecord, container: ContainerRecord): boolean {
  if (container.phase !== 'Intended' && container.phase !== 'Launched') return false;
  return viewOf(observed, container).kind === 'Running' && record.bootId === observed.bootId;
}

function isBusy({ busy }: Observed, { name }: ContainerRecord): boolean {
  return busy.has(name);
}

function viewOf({ containers }: Observed, { name }: ContainerRecord): ContainerView {
  return containers[name] ?? { kind: 'None', neverStarted: false };
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
  return { type: 'Settle', step, ends: [] };
}
