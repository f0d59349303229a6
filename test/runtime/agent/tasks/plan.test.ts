import { describe, expect, test } from '@jest/globals';
import { type Action, type Observed, plan, UPDATE_AGAIN_MS } from '../../../../runtime/agent/tasks/plan.ts';
import {
  type ContainerEnd,
  type ContainerRecord,
  containerIdOf,
  type TaskRecord,
} from '../../../../runtime/agent/tasks/record.ts';
import { beginStop, type EndedRun, markRemoved, noteEnds } from '../../../../runtime/agent/tasks/steps.ts';
import { documentView, ended, launchedTask, NOW, observed, taskRecord } from '../support/observed.ts';

const types = (actions: Action[]): string[] => actions.map(({ type }) => type);

describe('a task without a record', () => {
  test('is launched when nothing says that it ran before', () => {
    expect(types(plan(observed(), NOW))).toEqual(['Launch']);
    expect(types(plan(observed({ document: documentView({ state: undefined }) }), NOW))).toEqual(['Launch']);
    expect(types(plan(observed({ document: documentView({ state: 'Unreachable' }) }), NOW))).toEqual(['Launch']);
  });

  test.each(['Starting', 'Running', 'Killing'])('is Gone and not launched when its document says %s', (state) => {
    const [action] = plan(observed({ document: documentView({ state, containerId: 'old' }) }), NOW);
    expect(action).toMatchObject({ type: 'Settle', step: { state: 'Gone', reason: 'AgentRestarted' } });
  });

  test('is killed before the launch when it is deleted or killed by then', () => {
    for (const change of [{ deleting: true }, { killWanted: true }]) {
      const [action] = plan(observed({ document: documentView(change) }), NOW);
      expect(action).toMatchObject({ type: 'Settle', step: { state: 'Killed', reason: 'TaskKilledDuringLaunch' } });
    }
  });

  test('is refused when it cannot run, Dropped when something is missing, and waits when it may come', () => {
    const withReadiness = (readiness: Observed['readiness']) => plan(observed({ readiness }), NOW);
    expect(withReadiness({ kind: 'Invalid', message: 'spec.x: no' })).toEqual([{ type: 'Refuse' }]);
    expect(withReadiness({ kind: 'Missing', message: 'm' })).toMatchObject([
      { step: { state: 'Dropped', reason: 'ResourcesUnknown' } },
    ]);
    expect(withReadiness({ kind: 'Waiting', message: 'm' })).toEqual([
      { type: 'Explain', reason: 'WaitingForVolume', message: 'm' },
    ]);
    const told = { document: documentView({ message: 'm' }), readiness: { kind: 'Waiting' as const, message: 'm' } };
    expect(plan(observed(told), NOW)).toEqual([]);
  });

  test('only has its finalizer removed when it is terminal and deleted', () => {
    expect(plan(observed({ document: documentView({ state: 'Failed' }) }), NOW)).toEqual([]);
    expect(types(plan(observed({ document: documentView({ state: 'Failed', deleting: true }) }), NOW))).toEqual([
      'RemoveFinalizer',
    ]);
  });
});

describe('a running task', () => {
  const running = (change: Parameters<typeof observed>[0] = {}): Observed =>
    observed({
      record: taskRecord(),
      main: { kind: 'Running' },
      document: documentView({ state: 'Running', reported: true }),
      ...change,
    });

  test('needs nothing while its document says so', () => {
    expect(plan(running(), NOW)).toEqual([]);
  });

  test('gets the stop signal first and SIGKILL after the grace period, again and again until it ends', () => {
    const document = documentView({ state: 'Running', killWanted: true, reported: true });
    expect(plan(running({ document }), NOW)).toEqual([
      { type: 'Kill', kill: { cause: 'Requested', requestedAtMs: NOW }, ends: [], running: ['main'] },
    ]);
    const stop = { requestedAtMs: NOW, deadlineMs: NOW + 3000 };
    const kill = { cause: 'Requested' as const, requestedAtMs: NOW };
    const record = taskRecord({ kill }, { stop });
    expect(plan(running({ document, record }), NOW + 1)).toEqual([{ type: 'WakeAt', timeMs: NOW + 3000 }]);
    expect(plan(running({ document, record }), NOW + 3000)).toEqual([{ type: 'ForceKill', name: 'main' }]);
    const forced = taskRecord({ kill }, { stop: { ...stop, forcedAtMs: NOW + 3000 } });
    expect(plan(running({ document, record: forced }), NOW + 3001)).toEqual([{ type: 'WakeAt', timeMs: NOW + 13_000 }]);
    expect(plan(running({ document, record: forced }), NOW + 13_000)).toEqual([{ type: 'ForceKill', name: 'main' }]);
  });

  test('gets SIGKILL sooner when its kill policy is shortened meanwhile, and never later', () => {
    const stop = { requestedAtMs: NOW, deadlineMs: NOW + 3000 };
    const record = taskRecord({ kill: { cause: 'Requested', requestedAtMs: NOW } }, { stop });
    const planWith = (killGraceSeconds: number) =>
      plan(
        running({
          document: documentView({ state: 'Running', killWanted: true, reported: true, killGraceSeconds }),
          record,
        }),
        NOW + 1000,
      );
    expect(planWith(2)).toEqual([{ type: 'WakeAt', timeMs: NOW + 2000 }]);
    expect(planWith(0)).toEqual([{ type: 'ForceKill', name: 'main' }]);
    expect(planWith(60)).toEqual([{ type: 'WakeAt', timeMs: NOW + 3000 }]);
  });

  test('is ended when its document is gone or terminal, but not while documents are not known', () => {
    expect(plan(running({ document: undefined }), NOW)).toMatchObject([
      { type: 'Kill', kill: { cause: 'DocumentGone' } },
    ]);
    expect(plan(running({ document: undefined, documentsKnown: false }), NOW)).toEqual([]);
    expect(plan(running({ document: documentView({ state: 'GoneByOperator', reported: true }) }), NOW)).toMatchObject([
      { type: 'Kill', kill: { cause: 'DocumentTerminal' } },
    ]);
  });

  test('is ended after its longest time, also while the API server is away', () => {
    const record = taskRecord({ startedAtMs: NOW - 1000, maxCompletionTimeSeconds: 5 });
    expect(plan(running({ record }), NOW)).toEqual([{ type: 'WakeAt', timeMs: NOW + 4000 }]);
    const away = { record, document: undefined, documentsKnown: false };
    expect(plan(running(away), NOW + 4000)).toMatchObject([{ type: 'Kill', kill: { cause: 'MaxCompletionTime' } }]);
  });

  test('is told again with AgentReregistered after the controllers gave up on the agent', () => {
    const unreachable = documentView({ state: 'Unreachable' });
    expect(types(plan(running({ document: unreachable }), NOW))).toEqual(['Reregister']);
    const again = taskRecord({
      report: { state: 'Running', reason: 'AgentReregistered', source: 'Agent', history: [] },
    });
    expect(types(plan(running({ document: unreachable, record: again }), NOW))).toEqual(['Report']);
  });

  test('of another boot is Gone', () => {
    expect(plan(running({ bootId: 'boot-2' }), NOW)).toMatchObject([
      { type: 'Settle', step: { state: 'Gone', reason: 'AgentRestarted' } },
    ]);
  });
});

describe('an interrupted launch', () => {
  const intended = taskRecord(
    { startedAtMs: undefined, report: { state: 'Starting', source: 'Agent', history: [] } },
    { phase: 'Intended' },
  );

  test('is taken back when the container runs', () => {
    expect(plan(observed({ record: intended, main: { kind: 'Running' } }), NOW)).toEqual([
      { type: 'TakeBack', name: 'main' },
    ]);
  });

  test('ends with the exit code when the container ended meanwhile', () => {
    const actions = plan(observed({ record: intended, main: ended({ exitCode: 7 }) }), NOW);
    expect(actions).toMatchObject([{ type: 'Settle', step: { state: 'Failed', reason: 'ExitCode', exitCode: 7 } }]);
  });

  test('is Dropped when nobody can say whether the command ran, and started when it certainly did not', () => {
    expect(plan(observed({ record: intended }), NOW)).toMatchObject([
      { type: 'Settle', step: { state: 'Dropped', reason: 'AgentRestarted' } },
    ]);
    expect(plan(observed({ record: intended, main: ended({ lost: true }) }), NOW)).toMatchObject([
      { step: { state: 'Dropped' } },
    ]);
    const main = { kind: 'None' as const, neverStarted: true };
    expect(types(plan(observed({ record: intended, main }), NOW))).toEqual(['Start', 'Report']);
    expect(plan(observed({ record: intended, main, document: undefined, documentsKnown: false }), NOW)).toEqual([]);
  });
});

describe('an ended task', () => {
  test('is removed first, then reported, then released, then forgotten', () => {
    const report = { state: 'Finished' as const, source: 'Executor' as const, history: [] };
    const over = taskRecord({ phase: 'Ended', report }, { phase: 'Ended' });
    expect(types(plan(observed({ record: over }), NOW))).toEqual(['Remove']);
    expect(plan(observed({ record: over, busy: new Set(['main']) }), NOW)).toEqual([]);
    const removed = taskRecord({ phase: 'Ended', report }, { phase: 'Removed' });
    expect(types(plan(observed({ record: removed }), NOW))).toEqual(['RemoveShared']);
    const record = taskRecord({ phase: 'Cleaned', report }, { phase: 'Removed' });
    expect(types(plan(observed({ record }), NOW))).toEqual(['Report']);
    expect(plan(observed({ record, document: documentView({ state: 'Finished', reported: true }) }), NOW)).toEqual([]);
    const deleting = documentView({ state: 'Finished', reported: true, deleting: true });
    expect(types(plan(observed({ record, document: deleting }), NOW))).toEqual(['RemoveFinalizer']);
    expect(types(plan(observed({ record, document: undefined }), NOW))).toEqual(['Forget']);
    expect(plan(observed({ record, document: undefined, documentsKnown: false }), NOW)).toEqual([]);
  });
});

describe('a container with a restart policy', () => {
  const restarting = (policy: object, main: Partial<ContainerRecord> = {}) =>
    taskRecord({ task: launchedTask({ restartPolicy: policy }) }, main);
  const withEnd = (record: TaskRecord, end: Partial<ContainerEnd>) =>
    noteEnds(record, [{ name: 'main', run: record.containers[0]!.run, end: { finishedAtMs: NOW, ...end } }], 'boot-1')
      .containers[0]!;

  test.each<[string, object, Partial<ContainerEnd>, number | undefined]>([
    ['Never after a failure', { condition: 'Never' }, { exitCode: 1 }, undefined],
    ['OnFailure after a failure', { condition: 'OnFailure' }, { exitCode: 1 }, NOW + 1000],
    ['OnFailure after a signal', { condition: 'OnFailure' }, { signal: 11 }, NOW + 1000],
    [
      'OnFailure after a launch that failed',
      { condition: 'OnFailure' },
      { failure: { reason: 'r', message: 'm' } },
      NOW + 1000,
    ],
    ['OnFailure after success', { condition: 'OnFailure' }, { exitCode: 0 }, undefined],
    ['Always after success', { condition: 'Always' }, { exitCode: 0 }, NOW + 1000],
    ['OnFailure at maxRestarts', { condition: 'OnFailure', maxRestarts: 0 }, { exitCode: 1 }, undefined],
  ])('%s', (_name, policy, end, restartAtMs) => {
    expect(withEnd(restarting(policy), end).restartAtMs).toBe(restartAtMs);
  });

  test('waits longer with each failure, up to the longest delay, and starts anew after a healthy or long run', () => {
    const policy = { condition: 'OnFailure', backoff: { initialSeconds: 2, factor: 3, maxSeconds: 15 } };
    const delayAfter = (main: Partial<ContainerRecord>) =>
      (withEnd(restarting(policy, main), { exitCode: 1 }).restartAtMs! - NOW) / 1000;
    expect([0, 1, 2, 50].map((failures) => delayAfter({ failures }))).toEqual([2, 6, 15, 15]);
    expect(delayAfter({ failures: 5, health: { wasHealthy: true } })).toBe(2);
    expect(delayAfter({ failures: 5, startedAtMs: NOW - 15_000 })).toBe(2);
    expect(delayAfter({ failures: 5, startedAtMs: NOW - 14_999 })).toBe(15);
  });

  test('is removed, waits, and starts again as another run; the task goes on running', () => {
    const record = restarting({ condition: 'Always' });
    const going = { document: documentView({ state: 'Running', reported: true }) };
    const [note] = plan(observed({ ...going, record, main: ended({ exitCode: 4 }) }), NOW);
    expect(note).toMatchObject({ type: 'NoteEnds' });
    const noted = noteEnds(record, (note as { ends: EndedRun[] }).ends, 'boot-1');
    expect(plan(observed({ ...going, record: noted, main: ended({ exitCode: 4 }) }), NOW)).toEqual([
      { type: 'Remove', name: 'main' },
    ]);
    const removed = markRemoved(noted, 'main');
    const main = { kind: 'None' as const, neverStarted: true };
    expect(plan(observed({ ...going, record: removed, main }), NOW)).toEqual([{ type: 'WakeAt', timeMs: NOW + 1000 }]);
    expect(plan(observed({ ...going, record: removed, main }), NOW + 1000)).toEqual([{ type: 'Start', name: 'main' }]);
    expect(containerIdOf(removed, removed.containers[0]!)).toBe('c1.1');
    expect(removed.report.state).toBe('Running');
  });

  test('is not started again when the task is to end, nor after a restart of the machine', () => {
    const noted = restarting(
      { condition: 'Always' },
      { phase: 'Removed', end: { exitCode: 1, finishedAtMs: NOW }, restartAtMs: NOW },
    );
    const killWanted = documentView({ state: 'Running', killWanted: true });
    expect(plan(observed({ record: noted, document: killWanted }), NOW)).toMatchObject([
      { type: 'Settle', step: { state: 'Killed', exitCode: 1 } },
    ]);
    expect(plan(observed({ record: noted, bootId: 'boot-2' }), NOW)).toMatchObject([
      { type: 'Settle', step: { state: 'Gone', reason: 'AgentRestarted' } },
    ]);
  });

  test('that is found unhealthy is ended and counts as failed, however it takes the signal; without a policy the task is Killed', () => {
    const health = { healthy: false, failed: 'its health check failed 3 times in a row' };
    const document = documentView({ state: 'Running', reported: true });
    const running = { kind: 'Running' as const };
    const record = restarting({ condition: 'OnFailure' }, { health });
    expect(plan(observed({ record, document, main: running }), NOW)).toEqual([
      { type: 'Stop', name: 'main', unhealthy: true },
    ]);
    expect(withEnd(beginStop(record, 'main', NOW, true), { exitCode: 0 }).restartAtMs).toBe(NOW + 1000);
    const alone = restarting({}, { health });
    const [kill] = plan(observed({ record: alone, document, main: running }), NOW);
    expect(kill).toMatchObject({ type: 'Kill', kill: { cause: 'Unhealthy', culprit: 'main' } });
    const killed = { ...alone, kill: (kill as Action & { type: 'Kill' }).kill };
    expect(plan(observed({ record: killed, document, main: ended({ exitCode: 0 }) }), NOW)).toMatchObject([
      { type: 'Settle', step: { state: 'Killed', reason: 'TaskHealthCheckStatusUpdated', message: health.failed } },
    ]);
  });
});

describe('a frozen task', () => {
  const record = taskRecord();
  const main = { kind: 'Running' as const };
  const document = (change: object) => documentView({ state: 'Running', reported: true, ...change });

  test('is frozen and resumed as its document says, and stays as it is without one', () => {
    expect(plan(observed({ record, main, document: document({ freezeWanted: true }) }), NOW)).toEqual([
      { type: 'Freeze', name: 'main', frozen: true },
    ]);
    const frozen = taskRecord({}, { frozen: true });
    expect(plan(observed({ record: frozen, main, document: document({ freezeWanted: true }) }), NOW)).toEqual([]);
    expect(plan(observed({ record: frozen, main, document: undefined, documentsKnown: false }), NOW)).toEqual([]);
    expect(plan(observed({ record: frozen, main, document: document({}) }), NOW)).toEqual([
      { type: 'Freeze', name: 'main', frozen: false },
    ]);
  });

  test('is not started, and starts nothing again', () => {
    expect(plan(observed({ document: documentView({ freezeWanted: true }) }), NOW)).toMatchObject([
      { type: 'Explain', reason: 'Frozen' },
    ]);
    const waiting = taskRecord({}, { phase: 'Waiting', run: 1 });
    const none = { kind: 'None' as const, neverStarted: true };
    expect(plan(observed({ record: waiting, main: none, document: document({ freezeWanted: true }) }), NOW)).toEqual(
      [],
    );
  });

  test('goes on counting its time', () => {
    const limited = taskRecord({ startedAtMs: NOW - 1000, maxCompletionTimeSeconds: 1 }, { frozen: true });
    expect(plan(observed({ record: limited, main, document: document({ freezeWanted: true }) }), NOW)).toMatchObject([
      { type: 'Kill', kill: { cause: 'MaxCompletionTime' } },
    ]);
  });
});

describe('changed resources', () => {
  test('are applied, and a refusal is tried again later or with the next change', () => {
    const main = { kind: 'Running' as const };
    const document = documentView({ state: 'Running', reported: true, generation: 5, resourceChanges: ['main'] });
    expect(plan(observed({ record: taskRecord(), main, document }), NOW)).toEqual([
      { type: 'UpdateResources', names: ['main'] },
    ]);
    const record = taskRecord({ refusedUpdate: { generation: 5, message: 'm', atMs: NOW } });
    expect(plan(observed({ record, main, document }), NOW)).toEqual([
      { type: 'WakeAt', timeMs: NOW + UPDATE_AGAIN_MS },
    ]);
    expect(types(plan(observed({ record, main, document: { ...document, generation: 6 } }), NOW))).toEqual([
      'UpdateResources',
    ]);
  });
});
