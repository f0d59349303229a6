/** Pieces of what a plan observes, for unit tests; each test overrides what it is about. */

import type { ContainerView, DocumentView, Observed } from '../../../../runtime/agent/tasks/plan.ts';
import type { TaskRecord } from '../../../../runtime/agent/tasks/record.ts';
import type { Termination } from '../../../../runtime/containerizers/containerizer.ts';

export const NOW = Date.parse('2030-01-01T00:00:00Z');

export function documentView(change: Partial<DocumentView> = {}): DocumentView {
  return {
    state: 'Staging',
    message: undefined,
    containerId: undefined,
    deleting: false,
    killWanted: false,
    hasFinalizer: true,
    reported: false,
    ...change,
  };
}

export function taskRecord(change: Partial<TaskRecord> = {}): TaskRecord {
  return {
    uid: 'u1',
    namespace: 'default',
    name: 'task',
    containerId: 'c1',
    containerName: 'main',
    bootId: 'boot-1',
    phase: 'Launched',
    sandbox: '/sandbox',
    volumes: [],
    killGraceSeconds: 3,
    stopSignal: 15,
    startedAtMs: NOW - 1000,
    report: { state: 'Running', source: 'Agent', containerId: 'c1', history: [] },
    ...change,
  };
}

export function ended(change: Partial<Termination> = {}): ContainerView {
  return {
    kind: 'Ended',
    termination: { containerId: 'c1', oomKilled: false, finishedAt: new Date(NOW), exitCode: 0, ...change },
  };
}

export function observed(change: Partial<Observed> = {}): Observed {
  return {
    bootId: 'boot-1',
    document: documentView(),
    documentsKnown: true,
    record: undefined,
    container: { kind: 'None', neverStarted: false },
    readiness: { kind: 'Ready' },
    ...change,
  };
}
