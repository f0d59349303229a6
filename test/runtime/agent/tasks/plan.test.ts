import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Action, type Observed, plan, UPDATE_AGAIN_MS } from '../../../../runtime/agent/tasks/plan.ts';
import {
  type ContainerEnd,
  type ContainerRecord,
  containerIdOf,
  type TaskRecord,
} from '../../../../runtime/agent/tasks/record.ts';
import { isTerminal, type TaskState } from '../../../../runtime/agent/tasks/status.ts';
import { beginStop, type EndedRun, markRemoved, noteEnds } from '../../../../runtime/agent/tasks/steps.ts';
import { containerRecord, documentView, ended, launchedTask, NOW, observed, taskRecord } from '../support/observed.ts';

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

  test('is an Error naming the field when it cannot run, Dropped when something is missing, and waits when it may come', () => {
    const withReadiness = (readiness: Observed['readiness']) => plan(observed({ readiness }), NOW);
    expect(withReadiness({ kind: 'Invalid', message: 'spec.x: no' })).toMatchObject([
      { type: 'Settle', step: { state: 'Error', reason: 'TaskInvalid', message: 'spec.x: no' } },
    ]);
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

describe('a group', () => {
  const [one, two] = [containerRecord({ name: 'one' }), containerRecord({ name: 'two' })];
  const running = { kind: 'Running' as const };
  const group = (containers: ContainerRecord[], views: Observed['containers'], change: Partial<Observed> = {}) =>
    observed({
      record: taskRecord({ containers, task: launchedTask({ containers: containers.map(({ name }) => ({ name })) }) }),
      containers: views,
      document: documentView({ state: 'Running', reported: true }),
      ...change,
    });

  test('ends with the first container that fails, and says which; the others are ended by the kill policy', () => {
    const [action] = plan(group([one, two], { one: ended({ exitCode: 3 }), two: running }), NOW);
    expect(action).toMatchObject({
      type: 'Kill',
      kill: { cause: 'ContainerFailed', culprit: 'one' },
      ends: [{ name: 'one', end: { exitCode: 3 } }],
      running: ['two'],
    });
    const { kill } = action as Action & { type: 'Kill' };
    const after = noteEnds(
      taskRecord({ containers: [one, two], kill }),
      (action as { ends: EndedRun[] }).ends,
      'boot-1',
    );
    // The one that was killed for it ended "earlier" by its own clock: the culprit stays who it is.
    const views = { one: ended(), two: ended({ signal: 15, exitCode: undefined, finishedAt: new Date(NOW - 5) }) };
    expect(plan(group([], views, { record: after }), NOW)).toMatchObject([
      {
        type: 'Settle',
        step: { state: 'Failed', reason: 'ExitCode', exitCode: 3, message: 'container "one": exited with code 3' },
      },
    ]);
  });

  test('goes on when one container is done, and is Finished when all are', () => {
    const noted = { one: ended(), two: running };
    expect(plan(group([one, two], noted), NOW)).toMatchObject([{ type: 'NoteEnds', ends: [{ name: 'one' }] }]);
    const done = containerRecord({ name: 'one', phase: 'Ended', end: { exitCode: 0, finishedAtMs: NOW } });
    expect(plan(group([done, two], { two: running }), NOW)).toEqual([{ type: 'Remove', name: 'one' }]);
    expect(plan(group([done, two], { two: ended() }), NOW)).toMatchObject([
      { type: 'Settle', step: { state: 'Finished', exitCode: 0 } },
    ]);
  });

  test('makes what it shares before its first container starts', () => {
    const waiting = [
      containerRecord({ name: 'one', phase: 'Intended' }),
      containerRecord({ name: 'two', phase: 'Waiting' }),
    ];
    const views = {
      one: { kind: 'None' as const, neverStarted: true },
      two: { kind: 'None' as const, neverStarted: true },
    };
    expect(plan(group(waiting, views, { shared: 'Absent' }), NOW)).toEqual([{ type: 'PrepareShared' }]);
    expect(plan(group(waiting, views, { shared: 'Busy' }), NOW)).toEqual([]);
    expect(types(plan(group(waiting, views), NOW))).toEqual(['Start', 'Start']);
  });

  test('runs init containers one after another, and the others when all of them are done', () => {
    const waiting = (name: string, init: boolean) => containerRecord({ name, init, phase: 'Waiting' });
    const done = (name: string) =>
      containerRecord({ name, init: true, phase: 'Removed', end: { exitCode: 0, finishedAtMs: NOW } });
    const none = { kind: 'None' as const, neverStarted: true };
    const views = { i1: none, i2: none, main: none };
    const starts = (containers: ContainerRecord[]) => plan(group(containers, views), NOW);
    expect(starts([waiting('i1', true), waiting('i2', true), waiting('main', false)])).toEqual([
      { type: 'Start', name: 'i1' },
    ]);
    expect(starts([done('i1'), waiting('i2', true), waiting('main', false)])).toEqual([{ type: 'Start', name: 'i2' }]);
    expect(starts([done('i1'), done('i2'), waiting('main', false)])).toEqual([{ type: 'Start', name: 'main' }]);
  });

  test.each<['Started' | 'Healthy' | 'Completed', Partial<ContainerRecord>, boolean]>([
    ['Started', { phase: 'Intended', startedAtMs: undefined, wasStarted: undefined }, false],
    ['Started', {}, true],
    ['Healthy', {}, false],
    ['Healthy', { health: { healthy: false } }, false],
    ['Healthy', { health: { healthy: true } }, true],
    ['Completed', {}, false],
    ['Completed', { phase: 'Removed', end: { exitCode: 0, finishedAtMs: NOW } }, true],
    ['Completed', { phase: 'Removed', end: { exitCode: 1, finishedAtMs: NOW }, restartAtMs: NOW + 5 }, false],
  ])('starts what depends on %s of %j: %s', (condition, first, isStarted) => {
    const db = containerRecord({ name: 'db', ...first });
    const web = containerRecord({ name: 'web', phase: 'Waiting' });
    const task = launchedTask({
      containers: [{ name: 'db' }, { name: 'web', dependsOn: [{ name: 'db', condition }] }],
      restartPolicy: { condition: 'OnFailure' },
    });
    const none = { kind: 'None' as const, neverStarted: true };
    const views = { db: db.phase === 'Launched' ? running : none, web: none };
    const observation = group([], views, {
      record: taskRecord({ containers: [db, web], task }),
      busy: new Set(db.phase === 'Intended' ? ['db'] : []),
    });
    expect(plan(observation, NOW)).toEqual(
      isStarted ? [{ type: 'Start', name: 'web' }] : expect.not.arrayContaining([{ type: 'Start', name: 'web' }]),
    );
  });

  test('fails when a dependency can no longer be met', () => {
    const db = containerRecord({ name: 'db', phase: 'Removed', end: { exitCode: 0, finishedAtMs: NOW } });
    const web = containerRecord({ name: 'web', phase: 'Waiting' });
    const task = launchedTask({
      containers: [{ name: 'db' }, { name: 'web', dependsOn: [{ name: 'db', condition: 'Healthy' }] }],
    });
    expect(plan(group([], {}, { record: taskRecord({ containers: [db, web], task }) }), NOW)).toMatchObject([
      {
        type: 'Settle',
        step: {
          state: 'Failed',
          message: 'container "web": it waits for container "db" to be healthy, which has finished',
        },
      },
    ]);
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

describe('whatever is observed', () => {
  const states: TaskState[] = [
    'Staging',
    'Starting',
    'Running',
    'Killing',
    'Finished',
    'Failed',
    'Killed',
    'Error',
    'Dropped',
    'Unreachable',
    'Gone',
    'GoneByOperator',
  ];
  const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  const time = fc.integer({ min: NOW - 100_000, max: NOW + 100_000 });
  const anyDocument = fc.record({
    state: optional(fc.constantFrom<string>(...states)),
    message: optional(fc.constantFrom('w', 'x')),
    containerId: optional(fc.constant('c1')),
    generation: fc.constantFrom(1, 2),
    deleting: fc.boolean(),
    killWanted: fc.boolean(),
    freezeWanted: fc.boolean(),
    hasFinalizer: fc.boolean(),
    reported: fc.boolean(),
    resourceChanges: fc.subarray(['init', 'one', 'two']),
  });
  const anyEnd = fc.record(
    {
      exitCode: fc.integer({ min: 0, max: 2 }),
      lost: fc.constant(true),
      failure: fc.constant({ reason: 'r', message: 'm' }),
      finishedAtMs: time,
    },
    { requiredKeys: ['finishedAtMs'] },
  );
  const anyContainer = (name: string, init: boolean): fc.Arbitrary<ContainerRecord> =>
    fc
      .record({
        phase: fc.constantFrom('Waiting', 'Intended', 'Launched', 'Ended', 'Removed'),
        run: fc.integer({ min: 0, max: 2 }),
        startedAtMs: optional(time),
        restartAtMs: optional(time),
        frozen: optional(fc.boolean()),
        failures: fc.integer({ min: 0, max: 9 }),
        end: anyEnd,
        health: optional(fc.record({ healthy: fc.boolean(), failed: optional(fc.constant('f')) })),
        stop: optional(fc.record({ requestedAtMs: time, deadlineMs: time, forcedAtMs: optional(time) })),
      })
      .map(({ phase, restartAtMs, end, ...change }) => {
        const isOver = phase === 'Ended' || phase === 'Removed';
        return containerRecord({
          ...change,
          name,
          init,
          phase: phase as ContainerRecord['phase'],
          ...(isOver && { end, restartAtMs }),
        });
      });
  const anyTask = fc.record({
    condition: fc.constantFrom('Never' as const, 'OnFailure' as const, 'Always' as const),
    dependency: optional(fc.constantFrom('Started' as const, 'Healthy' as const, 'Completed' as const)),
  });
  const anyRecord: fc.Arbitrary<TaskRecord> = fc
    .record({
      phase: fc.constantFrom('Live' as const, 'Live' as const, 'Live' as const, 'Ended' as const, 'Cleaned' as const),
      bootId: fc.constantFrom('boot-1', 'boot-1', 'boot-2'),
      startedAtMs: optional(time),
      maxCompletionTimeSeconds: optional(fc.integer({ min: 1, max: 100 })),
      kill: optional(
        fc.record({
          cause: fc.constantFrom('Requested' as const, 'MaxCompletionTime' as const, 'ContainerFailed' as const),
          requestedAtMs: time,
        }),
      ),
      state: fc.constantFrom(...states),
      containers: fc.tuple(anyContainer('init', true), anyContainer('one', false), anyContainer('two', false)),
      task: optional(anyTask),
    })
    .map(({ state, task, ...change }) =>
      taskRecord({
        ...change,
        task:
          task &&
          launchedTask({
            initContainers: [{ name: 'init' }],
            containers: [
              { name: 'one' },
              { name: 'two', ...(task.dependency && { dependsOn: [{ name: 'one', condition: task.dependency }] }) },
            ],
            restartPolicy: { condition: task.condition },
          }),
        report: { state, source: 'Agent', history: [] },
      }),
    );
  const anyView = fc.oneof(
    fc.record({ kind: fc.constant('None' as const), neverStarted: fc.boolean() }),
    fc.constant({ kind: 'Running' as const }),
    fc
      .record({
        exitCode: optional(fc.integer({ min: 0, max: 255 })),
        lost: optional(fc.constant(true)),
        oomKilled: fc.boolean(),
      })
      .map((end) => ended(end)),
  );
  const anyObserved: fc.Arbitrary<Observed> = fc.record({
    bootId: fc.constant('boot-1'),
    document: optional(anyDocument),
    documentsKnown: fc.boolean(),
    record: optional(anyRecord),
    containers: fc.record({ init: anyView, one: anyView, two: anyView }, { requiredKeys: [] }),
    busy: fc.subarray(['init', 'one', 'two']).map((names) => new Set(names)),
    shared: fc.constantFrom('Ready' as const, 'Ready' as const, 'Busy' as const, 'Absent' as const),
    readiness: fc.constantFrom<Observed['readiness']>(
      { kind: 'Ready' },
      { kind: 'Waiting', message: 'w' },
      { kind: 'Invalid', message: 'i' },
      { kind: 'Missing', message: 'm' },
    ),
  });
  const always = (check: (observed: Observed, actions: Action[]) => void) =>
    fc.assert(
      fc.property(anyObserved, time, (observation, now) => check(observation, plan(observation, now))),
      { numRuns: 5000 },
    );

  test('a run is never started that is recorded as anything but not begun or provably never started', () =>
    always(({ record, containers, busy }, actions) => {
      for (const action of actions) {
        if (action.type !== 'Start') continue;
        const container = record!.containers.find(({ name }) => name === action.name)!;
        expect(busy.has(action.name)).toBe(false);
        if (container.phase === 'Intended')
          expect(containers[action.name]).toEqual({ kind: 'None', neverStarted: true });
        else expect(container.phase).toBe('Waiting');
      }
    }));

  test('nothing is started of a task that is killed, deleted, terminal, frozen, of another boot, or not prepared', () =>
    always(({ document, record, shared }, actions) => {
      if (!types(actions).includes('Start')) return;
      expect([record?.phase, record?.kill, record?.bootId, shared]).toEqual(['Live', undefined, 'boot-1', 'Ready']);
      if (document === undefined) return;
      expect(document.deleting || document.killWanted || document.freezeWanted || isTerminal(document.state)).toBe(
        false,
      );
    }));

  test('a task is never begun that is killed, deleted, terminal, started elsewhere, or without a document', () =>
    always(({ document, record }, actions) => {
      if (!types(actions).includes('Launch')) return;
      expect(record).toBeUndefined();
      expect(document).toBeDefined();
      expect(document!.deleting || document!.killWanted || isTerminal(document!.state)).toBe(false);
      expect([undefined, 'Staging', 'Unreachable']).toContain(document!.state);
    }));

  test('no container starts before the init containers before it are done', () =>
    always(({ record }, actions) => {
      for (const action of actions) {
        if (action.type !== 'Start' || action.name === 'init') continue;
        const [init, container] = [
          record!.containers[0]!,
          record!.containers.find(({ name }) => name === action.name)!,
        ];
        if (container.run === 0) expect([init.end?.exitCode, init.restartAtMs]).toEqual([0, undefined]);
      }
    }));

  test('an outcome is only decided when nothing of the task runs or is under way', () =>
    always(({ record, containers, busy }, actions) => {
      if (record === undefined || !types(actions).includes('Settle')) return;
      for (const { name, phase } of record.containers) {
        expect(busy.has(name)).toBe(false);
        const isRunning = ['Intended', 'Launched'].includes(phase) && containers[name]?.kind === 'Running';
        if (record.bootId === 'boot-1') expect(isRunning).toBe(false);
      }
    }));

  test('a decided outcome is never decided again', () =>
    always(({ record }, actions) => {
      if (record?.phase === 'Ended' || record?.phase === 'Cleaned') expect(types(actions)).not.toContain('Settle');
    }));

  test('outcomes are terminal states', () =>
    always((_observation, actions) => {
      for (const action of actions) if (action.type === 'Settle') expect(isTerminal(action.step.state)).toBe(true);
    }));

  test('a container is only removed after its end is durable, and the finalizer only goes after the container', () =>
    always(({ record, document }, actions) => {
      for (const action of actions) {
        if (action.type === 'RemoveShared') expect(record?.phase).toBe('Ended');
        if (action.type !== 'Remove' || record?.phase === 'Ended') continue;
        expect(record?.containers.find(({ name }) => name === action.name)?.phase).toBe('Ended');
      }
      if (!types(actions).includes('RemoveFinalizer')) return;
      expect(record?.phase ?? 'Cleaned').toBe('Cleaned');
      expect(document?.deleting).toBe(true);
      if (record !== undefined) expect(document?.reported).toBe(true);
    }));

  test('a record is only forgotten when its document is known to be gone and nothing of the container is left', () =>
    always(({ record, document, documentsKnown }, actions) => {
      if (!types(actions).includes('Forget')) return;
      expect([record?.phase, document, documentsKnown]).toEqual(['Cleaned', undefined, true]);
    }));

  test('SIGKILL never comes before the deadline of the grace period, and the stop signal only once', () =>
    fc.assert(
      fc.property(anyObserved, time, (observation, now) => {
        for (const action of plan(observation, now)) {
          if (action.type === 'Kill') expect(observation.record?.kill).toBeUndefined();
          if (action.type !== 'ForceKill' && action.type !== 'Stop') continue;
          const { stop } = observation.record!.containers.find(({ name }) => name === action.name)!;
          if (action.type === 'Stop') expect(stop).toBeUndefined();
          else if (stop!.forcedAtMs === undefined) expect(now).toBeGreaterThanOrEqual(stop!.deadlineMs);
        }
      }),
      { numRuns: 5000 },
    ));

  test('nothing is asked of the API server while there is no document', () =>
    always(({ document }, actions) => {
      if (document === undefined) expect(types(actions)).not.toEqual(expect.arrayContaining(['Report']));
    }));

  test('what decides for the whole task comes alone, so that it is decided on what is then true', () =>
    always((_observation, actions) => {
      const deciding = types(actions).filter((type) =>
        ['Launch', 'Kill', 'Settle', 'NoteEnds', 'Forget'].includes(type),
      );
      if (deciding.length > 0) expect(actions).toHaveLength(1);
    }));

  test('one container gets at most one step at a time', () =>
    always((_observation, actions) => {
      const names = actions.flatMap((action) => ('name' in action ? [action.name] : []));
      expect(new Set(names).size).toBe(names.length);
    }));
});
