/** Type Service: keeps `replicas` tasks of the current template running. */
import type { FrameworkStatus } from '../../crds/types.generated.ts';
import type { Action } from './actions.ts';
import { type BackoffNow, freshBackoff, updateBackoff } from './backoff.ts';
import { inKillOrder } from './kill-order.ts';
import { makeTask, makeVolumes } from './make.ts';
import type { Observed } from './observed.ts';
import { revisionOf } from './revision.ts';
import { type Capacities, hasOwnVolumes, oldTasksToEnd, rolloutCapacities } from './rollout.ts';
import { serviceStatus } from './service-status.ts';
import { type TaskView, viewTask } from './task-view.ts';
import { earliest } from './times.ts';
import { judgeUnreachable } from './unreachable.ts';

/** All that was worked out about a Service; service-status.ts turns it into its status. */
export interface ServiceView {
  readonly desired: number;
  readonly revision: string;
  readonly isNewRevision: boolean;
  /** Tasks that are neither ended nor ending, nor given up as unreachable. */
  readonly counted: readonly TaskView[];
  readonly updated: readonly TaskView[];
  readonly old: readonly TaskView[];
  readonly all: readonly TaskView[];
  readonly available: readonly TaskView[];
  readonly backoff: BackoffNow;
  /** Why tasks that are missing are not made now. */
  readonly waitsFor: readonly string[];
}

/** What to do for a Service now, the new status included. */
export function planService(observed: Observed, nowMs: number): { actions: Action[]; status: FrameworkStatus } {
  const { framework } = observed;
  const { spec, status: before } = framework;
  const desired = spec.replicas ?? 1;
  const revision = revisionOf(spec);
  const isNewRevision = before?.updateRevision !== undefined && before.updateRevision !== revision;
  const all = observed.tasks.map((task) => viewTask(task, nowMs));
  const active = all.filter((task) => !task.terminal && !task.deleting);
  const unreachable = judgeUnreachable(active, spec.unreachableStrategy, nowMs);
  const counted = active.filter((task) => !unreachable.inactive.has(task));
  const updated = counted.filter((task) => task.revision === revision);
  const old = counted.filter((task) => task.revision !== revision);
  const minReadyMs = (spec.updateStrategy?.minReadySeconds ?? 0) * 1000;
  const isAvailable = (task: TaskView) => task.ready && task.readySinceMs + minReadyMs <= nowMs;
  const backoff = updateBackoff(
    isNewRevision ? freshBackoff(nowMs) : before?.backoff,
    all.filter((task) => task.revision === revision),
    spec.backoff,
    nowMs,
  );
  // Only a Framework without any task waits: what runs is not left to shrink because something else fails.
  const waitsFor = counted.length === 0 && desired > 0 ? observed.unmetDependencies : [];
  const available = counted.filter(isAvailable);
  const view: ServiceView = {
    desired,
    revision,
    isNewRevision,
    counted,
    updated,
    old,
    all,
    available,
    backoff,
    waitsFor,
  };

  const actions: Action[] = [];
  if (!spec.paused) {
    const ending = tasksToEnd(view, spec, isAvailable);
    for (const task of [...unreachable.expunged, ...ending])
      actions.push({ type: 'DeleteTask', name: task.name, uid: task.uid });
    actions.push(...scaleEvents(view, ending));
    actions.push(...launches(observed, view));
  }
  const { status, events, lookAgainAtMs } = serviceStatus(framework, view, nowMs);
  actions.push(...events);
  const soonestReadyMs = Math.min(
    ...counted.filter((task) => task.ready && !isAvailable(task)).map((task) => task.readySinceMs + minReadyMs),
  );
  const againAtMs = [backoff.waitUntilMs, backoff.lookAgainAtMs, unreachable.lookAgainAtMs, lookAgainAtMs].reduce(
    earliest,
    Number.isFinite(soonestReadyMs) ? soonestReadyMs : undefined,
  );
  if (againAtMs !== undefined) actions.push({ type: 'PlanAgain', afterMs: Math.max(0, againAtMs - nowMs) });
  return { actions, status };
}

function tasksToEnd(
  view: ServiceView,
  spec: Observed['framework']['spec'],
  isAvailable: (task: TaskView) => boolean,
): TaskView[] {
  const { desired, updated, old } = view;
  const surplus = inKillOrder(updated, spec.killSelection).slice(0, Math.max(0, updated.length - desired));
  if (old.length === 0) return surplus;
  const oldOnesEnding = view.all.some((task) => task.deleting && !task.terminal && task.revision !== view.revision);
  const capacities = capacitiesOf(view, spec);
  const staying = updated.filter((task) => !surplus.includes(task));
  return [...surplus, ...oldTasksToEnd(spec, capacities, old, staying, isAvailable, oldOnesEnding)];
}

function capacitiesOf({ desired }: ServiceView, spec: Observed['framework']['spec']): Capacities {
  return rolloutCapacities(spec, desired);
}

/** The tasks that are missing and may be made now, each after its volumes. */
function launches(observed: Observed, view: ServiceView): Action[] {
  const { framework } = observed;
  const { spec } = framework;
  const { desired, revision, updated, old, all, waitsFor, backoff } = view;
  if (waitsFor.length > 0 || backoff.waitUntilMs !== undefined) return [];
  const endingOld = all.filter((task) => task.deleting && !task.terminal && task.revision !== revision);
  let room = desired;
  if (old.length > 0) room = capacitiesOf(view, spec).maximum - old.length;
  if (spec.updateStrategy?.type === 'Recreate' && old.length + endingOld.length > 0) room = 0;
  const missing = Math.min(desired, room) - updated.length;
  if (missing <= 0) return [];
  const indexes = freeIndexes(view, hasOwnVolumes(spec), missing);
  const names = taskNames(observed, view);
  const actions: Action[] = [];
  const made: string[] = [];
  for (const index of indexes) {
    for (const volume of makeVolumes(framework, index)) {
      if (!observed.volumeExists(volume.metadata.name ?? '')) actions.push({ type: 'CreateVolume', volume });
    }
    const name = names.next().value;
    made.push(name);
    actions.push({ type: 'CreateTask', task: makeTask(framework, { name, index, revision }) });
  }
  if (made.length > 0) actions.push(createdEvent(made));
  return actions;
}

/** The lowest indexes that no task of the revision has; with volumes, that no task at all has that may still use them. */
function freeIndexes({ desired, updated, all }: ServiceView, resident: boolean, count: number): number[] {
  const taken = new Set((resident ? all.filter((task) => !task.terminal) : updated).map((task) => task.index));
  const free: number[] = [];
  for (let index = 0; index < desired && free.length < count; index += 1) if (!taken.has(index)) free.push(index);
  return free;
}

/** <framework>-<revision>-<n>, counting on from the highest n there is: from the same knowledge always the same names. */
function* taskNames(
  { framework, isTaskNameTaken }: Observed,
  { all, revision }: ServiceView,
): Generator<string, never> {
  const prefix = `${framework.metadata.name}-${revision.slice(0, 5)}-`;
  const numbers = all
    .filter(({ name }) => name.startsWith(prefix))
    .map(({ name }) => Number(name.slice(prefix.length)));
  for (let number = Math.max(-1, ...numbers.filter(Number.isInteger)) + 1; ; number += 1) {
    const name = `${prefix}${number}`;
    if (!isTaskNameTaken(name)) yield name;
  }
}

function createdEvent(names: string[]): Action {
  const note = `created ${names.length === 1 ? 'task' : `${names.length} tasks:`} ${listed(names)}`;
  return { type: 'RecordEvent', severity: 'Normal', reason: 'TasksCreated', action: 'CreateTasks', note };
}

function scaleEvents({ old }: ServiceView, ending: TaskView[]): Action[] {
  if (ending.length === 0) return [];
  const names = listed(ending.map(({ name }) => name));
  const [reason, why] =
    old.length > 0 ? ['OldTasksEnded', 'replaced by the new template'] : ['ScaledDown', 'no longer wanted'];
  const note = `ending ${names}: ${why}`;
  return [{ type: 'RecordEvent', severity: 'Normal', reason: reason!, action: 'EndTasks', note }];
}

function listed(names: string[]): string {
  return names.length <= 5 ? names.join(', ') : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`;
}
