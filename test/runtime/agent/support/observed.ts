/** Pieces of what a plan observes, for unit tests; each test overrides what it is about. */

import type { TaskSpec } from '../../../../crds/types.generated.ts';
import type { ContainerView, DocumentView, Observed } from '../../../../runtime/agent/tasks/plan.ts';
import type { ContainerRecord, TaskRecord } from '../../../../runtime/agent/tasks/record.ts';
import type { Termination } from '../../../../runtime/containerizers/containerizer.ts';

export const NOW = Date.parse('2030-01-01T00:00:00Z');

export function documentView(change: Partial<DocumentView> = {}): DocumentView {
  return {
    state: 'Staging',
    message: undefined,
    containerId: undefined,
    generation: 1,
    deleting: false,
    killWanted: false,
    killGraceSeconds: 3,
    freezeWanted: false,
    hasFinalizer: true,
    reported: false,
    resourceChanges: [],
    ...change,
  };
}

export function containerRecord(change: Partial<ContainerRecord> = {}): ContainerRecord {
  const phase = change.phase ?? 'Launched';
  const wasStarted = phase !== 'Waiting' && phase !== 'Intended';
  return {
    name: 'main',
    init: false,
    phase,
    run: 0,
    stopSignal: 15,
    failures: 0,
    ...(wasStarted && { startedAtMs: NOW - 1000, wasStarted: true as const }),
    ...change,
  };
}

/** A task that runs; `main` changes its only container. */
export function taskRecord(change: Partial<TaskRecord> = {}, main: Partial<ContainerRecord> = {}): TaskRecord {
  const containers = change.containers ?? [containerRecord(main)];
  return {
    uid: 'u1',
    namespace: 'default',
    name: 'task',
    groupId: 'c1',
    isGroup: containers.length > 1,
    bootId: 'boot-1',
    phase: 'Live',
    sandbox: '/sandbox',
    volumes: [],
    killGraceSeconds: 3,
    startedAtMs: NOW - 1000,
    containers,
    report: { state: 'Running', source: 'Agent', containerId: 'c1', history: [] },
    ...change,
  };
}

/** The document that a record was launched from. */
export function launchedTask(spec: Partial<TaskSpec>): TaskRecord['task'] {
  return {
    metadata: { namespace: 'default', name: 'task', uid: 'u1', generation: 1 },
    spec: { containers: [{ name: 'main', command: ['true'] }], ...spec },
  };
}

export function ended(change: Partial<Termination> = {}): ContainerView {
  return {
    kind: 'Ended',
    termination: { containerId: 'c1', oomKilled: false, finishedAt: new Date(NOW), exitCode: 0, ...change },
  };
}

/** `main` is the view of the only container. */
export function observed({ main, ...change }: Partial<Observed> & { main?: ContainerView } = {}): Observed {
  return {
    bootId: 'boot-1',
    document: documentView(),
    documentsKnown: true,
    record: undefined,
    containers: main ? { main } : {},
    busy: new Set(),
    shared: 'Ready',
    readiness: { kind: 'Ready' },
    ...change,
  };
}
