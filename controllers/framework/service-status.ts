/** The status of a Service, and the events that tell how it changed. */
import type { Framework, FrameworkStatus } from '../../crds/types.generated.ts';
import type { Action } from './actions.ts';
import { type WantedCondition, withConditions } from './conditions.ts';
import { taskSelector } from './names.ts';
import type { ServiceView } from './service.ts';
import { conditionOf, describeEnd, type TaskView } from './task-view.ts';
import { fromTime, toTime } from './times.ts';

export interface ServiceStatus {
  status: FrameworkStatus;
  events: Action[];
  /** When progressDeadlineSeconds runs out. */
  lookAgainAtMs: number | undefined;
}

interface Verdict {
  settled: boolean;
  reason: string;
  message: string;
  stalled: { reason: string; message: string } | undefined;
}

export function serviceStatus(framework: Framework, view: ServiceView, nowMs: number): ServiceStatus {
  const before = framework.status ?? {};
  const { spec, metadata } = framework;
  const settled = isSettled(view);
  const lastProgressMs = lastProgress(framework, view, settled, nowMs);
  const deadlineMs = lastProgressMs + (spec.progressDeadlineSeconds ?? 600) * 1000;
  const verdict = judge(framework, view, settled, deadlineMs <= nowMs);
  const status: FrameworkStatus = {
    ...before,
    observedGeneration: metadata.generation,
    replicas: view.all.filter((task) => !task.terminal).length,
    readyReplicas: view.counted.filter((task) => task.ready).length,
    updatedReplicas: view.updated.length,
    availableReplicas: view.available.length,
    unreachableReplicas: view.all.filter((task) => task.state === 'Unreachable').length,
    selector: taskSelector(metadata.name ?? ''),
    updateRevision: view.revision,
    ...(settled ? { currentRevision: view.revision } : {}),
    lastProgressTime: toTime(lastProgressMs),
    backoff: view.backoff.status,
    conditions: withConditions(before.conditions, conditionsOf(verdict), metadata.generation, nowMs),
  };
  return {
    status,
    events: eventsOf(framework, view, verdict),
    lookAgainAtMs: settled || spec.paused || deadlineMs <= nowMs ? undefined : deadlineMs,
  };
}

function isSettled({ desired, updated, old, available }: ServiceView): boolean {
  return old.length === 0 && updated.length === desired && available.length === desired;
}

/** Since when nothing has moved. A task that fails and is made again and again is no progress. */
function lastProgress(framework: Framework, view: ServiceView, settled: boolean, nowMs: number): number {
  const before = framework.status;
  const known = fromTime(before?.lastProgressTime);
  const wasSettled = before !== undefined && conditionOf(framework, 'Ready')?.status === 'True';
  const moved =
    known === undefined ||
    view.isNewRevision ||
    before?.observedGeneration !== framework.metadata.generation ||
    settled !== wasSettled ||
    view.available.length > (before?.availableReplicas ?? 0) ||
    (view.backoff.status.failures === 0 && view.updated.length > (before?.updatedReplicas ?? 0));
  return moved ? nowMs : known;
}

function judge({ spec }: Framework, view: ServiceView, settled: boolean, deadlineOver: boolean): Verdict {
  const { desired, available } = view;
  if (settled) {
    const reason = desired === 0 ? 'ScaledToZero' : 'TasksReady';
    const message = desired === 0 ? 'no tasks are wanted' : `${available.length} of ${desired} tasks are available`;
    return { settled, reason, message, stalled: undefined };
  }
  const { reason, message } = whyNotSettled(view, spec.paused ?? false);
  const invalid = newest(view.all.filter((task) => task.revision === view.revision && task.terminal));
  let stalled: Verdict['stalled'];
  if (invalid?.state === 'Error') {
    stalled = { reason: 'TaskInvalid', message: `task "${invalid.name}": ${describeEnd(invalid)}` };
  } else if (deadlineOver && !spec.paused) {
    const seconds = spec.progressDeadlineSeconds ?? 600;
    stalled = { reason: 'ProgressDeadlineExceeded', message: `no progress for ${seconds} s: ${message}` };
  }
  return { settled, reason, message, stalled };
}

function whyNotSettled(view: ServiceView, paused: boolean): { reason: string; message: string } {
  const { desired, updated, old, available, backoff, waitsFor } = view;
  const state = `${available.length} of ${desired} tasks are available`;
  if (paused) return { reason: 'Paused', message: `${state}; spec.paused is true` };
  if (waitsFor.length > 0) return { reason: 'WaitingForDependencies', message: waitsFor.join('; ') };
  const unplaced = updated.find((task) => task.unplacedMessage !== undefined);
  if (unplaced)
    return { reason: 'TasksUnschedulable', message: `task "${unplaced.name}": ${unplaced.unplacedMessage}` };
  const { failures = 0, delaySeconds } = backoff.status;
  const last = newest(view.all.filter((task) => task.revision === view.revision && task.terminal && !task.deleting));
  if (failures > 0 && last) {
    const message = `${state}; ${failures} failures in a row, delay ${delaySeconds} s; task "${last.name}" ended ${describeEnd(last)}`;
    return { reason: 'BackingOff', message };
  }
  if (old.length > 0) {
    const message = `${updated.length} of ${desired} tasks are of the new template, ${old.length} of an old one; ${state}`;
    return { reason: 'RolloutInProgress', message };
  }
  return { reason: 'TasksNotReady', message: state };
}

function newest(tasks: readonly TaskView[]): TaskView | undefined {
  return [...tasks].sort(
    (a, b) => b.endedAtMs - a.endedAtMs || b.createdAtMs - a.createdAtMs || (a.name < b.name ? 1 : -1),
  )[0];
}

/** kstatus reads Reconciling before Stalled, so the two are never true together. */
function conditionsOf({ settled, reason, message, stalled }: Verdict): WantedCondition[] {
  const reconciling = !settled && !stalled;
  return [
    { type: 'Ready', status: settled ? 'True' : 'False', reason, message },
    { type: 'Reconciling', status: reconciling ? 'True' : 'False', reason, message: reconciling ? message : '' },
    {
      type: 'Stalled',
      status: stalled ? 'True' : 'False',
      reason: stalled?.reason ?? 'NotStalled',
      message: stalled?.message ?? '',
    },
  ];
}

function eventsOf(framework: Framework, view: ServiceView, { settled, reason, message, stalled }: Verdict): Action[] {
  const events: Action[] = [];
  const add = (severity: 'Normal' | 'Warning', eventReason: string, action: string, note: string) =>
    events.push({ type: 'RecordEvent', severity, reason: eventReason, action, note });
  for (const task of view.backoff.counted.slice(0, 3)) {
    const delay = view.backoff.status.delaySeconds ?? 0;
    add(
      'Warning',
      'TaskEnded',
      'ReplaceTask',
      `task ${task.name} ended ${describeEnd(task)}; next launch after ${delay} s`,
    );
  }
  if (view.isNewRevision) {
    add('Normal', 'RolloutStarted', 'RollOut', `rolling out revision ${view.revision} to ${view.desired} tasks`);
  }
  const completed = framework.status?.currentRevision;
  if (settled && completed !== undefined && completed !== view.revision) {
    add('Normal', 'RolloutCompleted', 'RollOut', `all ${view.desired} tasks are of revision ${view.revision}`);
  }
  const known = conditionOf(framework, 'Stalled');
  if (stalled && (known?.status !== 'True' || known.reason !== stalled.reason)) {
    add('Warning', stalled.reason, 'Reconcile', stalled.message);
  }
  if (reason === 'WaitingForDependencies' && conditionOf(framework, 'Ready')?.reason !== reason) {
    add('Normal', reason, 'CreateTasks', message);
  }
  return events;
}
