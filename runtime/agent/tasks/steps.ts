/**
 * How a task's record moves: each step is a function from record to record. Containers start and end beside each other, so a step is always
 * applied to the record in force, and one that comes late (for a run that is over) changes nothing. Pure.
 */
import type { ContainerUserIds } from '../../../crds/types.generated.ts';
import { type EndCircumstances, restartRuleOf, withEnd } from './container-end.ts';
import type { ContainerEnd, ContainerHealth, ContainerRecord, KillRecord, TaskRecord } from './record.ts';
import { advance, type Transition } from './status.ts';

/** A run that ended, by the container's name and the run's number. */
export interface EndedRun {
  name: string;
  run: number;
  end: ContainerEnd;
}

/** The report moves on; everything else stays. */
export function step(record: TaskRecord, transition: Transition, nowMs: number): TaskRecord {
  return { ...record, report: advance(record.report, transition, nowMs) };
}

/** The run is about to be handed to the containerizer. */
export function intend(record: TaskRecord, name: string): TaskRecord {
  return withContainer(record, name, (container) => {
    if (container.phase !== 'Waiting') return container;
    const { restartAtMs: _restart, stop: _stop, health: _health, startedAtMs: _started, ...rest } = container;
    return { ...rest, phase: 'Intended' };
  });
}

export interface LaunchedFacts {
  startedAtMs: number;
  pid?: number;
  image?: string;
  userNamespace?: ContainerUserIds;
  /** The image's, where the document names none. */
  stopSignal?: number;
}

/** Its command runs. */
export function markLaunched(record: TaskRecord, name: string, facts: LaunchedFacts, nowMs: number): TaskRecord {
  const launched = withContainer(record, name, (container) =>
    container.phase === 'Intended' ? { ...container, ...facts, phase: 'Launched', wasStarted: true } : container,
  );
  const startedAtMs = record.startedAtMs ?? facts.startedAtMs;
  const startTime = new Date(startedAtMs).toISOString();
  const { init: isInit = false, run = 0 } = record.containers.find((container) => container.name === name) ?? {};
  const state = launched.report.state;
  const begun = { ...launched, startedAtMs };
  if (state === 'Killing') return { ...begun, report: { ...begun.report, startTime } };
  const isAfresh = run > 0 && begun.report.message !== undefined;
  // Of a restarted container, what checks said was about the run before.
  if (state === 'Running' && !isAfresh) return { ...begun, report: { ...begun.report, startTime } };
  if (isInit) return step(begun, { state: 'Starting', message: `init container "${name}" runs`, startTime }, nowMs);
  return step(begun, { state: 'Running', startTime }, nowMs);
}

/** Runs ended. What is not the run in force is left out. */
export function noteEnds(record: TaskRecord, ends: readonly EndedRun[], bootId: string): TaskRecord {
  const circumstances: EndCircumstances = {
    rule: restartRuleOf(record.task),
    isLast: record.kill !== undefined || record.bootId !== bootId,
  };
  return ends.reduce(
    (noted, { name, run, end }) =>
      withContainer(noted, name, (container) =>
        container.run === run && (container.phase === 'Intended' || container.phase === 'Launched')
          ? withEnd(container, end, circumstances)
          : container,
      ),
    record,
  );
}

/** The whole task is to end: nothing is started any more, and what was to be restarted is not. */
export function beginKill(record: TaskRecord, kill: KillRecord, message: string | undefined): TaskRecord {
  if (record.kill !== undefined) return record;
  const containers = record.containers.map(({ restartAtMs: _restart, ...container }) => container);
  return step({ ...record, containers, kill }, { state: 'Killing', ...(message && { message }) }, kill.requestedAtMs);
}

/** One container is to end. */
export function beginStop(record: TaskRecord, name: string, nowMs: number, unhealthy = false): TaskRecord {
  return withContainer(record, name, (container) => ({
    ...container,
    stop: container.stop ?? {
      requestedAtMs: nowMs,
      deadlineMs: nowMs + record.killGraceSeconds * 1000,
      ...(unhealthy && { unhealthy: true as const }),
    },
  }));
}

export function markForced(record: TaskRecord, name: string, nowMs: number): TaskRecord {
  return withContainer(record, name, (container) =>
    container.stop === undefined ? container : { ...container, stop: { ...container.stop, forcedAtMs: nowMs } },
  );
}

export function markFrozen(record: TaskRecord, name: string, frozen: boolean): TaskRecord {
  return withContainer(record, name, ({ frozen: _before, ...container }) =>
    frozen && container.phase === 'Launched' ? { ...container, frozen: true } : container,
  );
}

/** Nothing of the ended run is left: the next one may come. */
export function markRemoved(record: TaskRecord, name: string): TaskRecord {
  return withContainer(record, name, (container) => {
    if (container.phase === 'Waiting' || container.phase === 'Removed') return container;
    if (container.restartAtMs === undefined) return { ...container, phase: 'Removed' };
    return { ...container, phase: 'Waiting', run: container.run + 1 };
  });
}

/** What checks found out about the run. */
export function noteHealth(
  record: TaskRecord,
  { name, run }: { name: string; run: number },
  change: ContainerHealth,
): TaskRecord {
  return withContainer(record, name, (container) => {
    if (container.run !== run || container.phase !== 'Launched') return container;
    return {
      ...container,
      health: { ...container.health, ...change, ...(change.healthy === true && { wasHealthy: true as const }) },
    };
  });
}

/** The outcome is decided. */
export function settled(record: TaskRecord, outcome: Transition, nowMs: number): TaskRecord {
  return {
    ...step(record, { finishTime: new Date(nowMs).toISOString(), ...outcome }, nowMs),
    phase: 'Ended',
    containers: record.containers.map(({ restartAtMs: _restart, ...container }) => container),
  };
}

function withContainer(
  record: TaskRecord,
  name: string,
  change: (container: ContainerRecord) => ContainerRecord,
): TaskRecord {
  return {
    ...record,
    containers: record.containers.map((container) => (container.name === name ? change(container) : container)),
  };
}
