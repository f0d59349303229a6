import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Action, type Observed, plan } from '../../../../runtime/agent/tasks/plan.ts';
import type { TaskRecord } from '../../../../runtime/agent/tasks/record.ts';
import { isTerminal, type TaskState } from '../../../../runtime/agent/tasks/status.ts';
import { documentView, ended, NOW, observed, taskRecord } from '../support/observed.ts';

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
    expect(withReadiness({ kind: 'Waiting', message: 'm' })).toEqual([{ type: 'Explain', message: 'm' }]);
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
  const running = (change: Partial<Observed> = {}): Observed =>
    observed({
      record: taskRecord(),
      container: { kind: 'Running' },
      document: documentView({ state: 'Running', reported: true }),
      ...change,
    });

  test('needs nothing while its document says so', () => {
    expect(plan(running(), NOW)).toEqual([]);
  });

  test('gets the stop signal first and SIGKILL after the grace period, again and again until it ends', () => {
    const killWanted = documentView({ state: 'Running', killWanted: true, reported: true });
    expect(plan(running({ document: killWanted }), NOW)).toEqual([{ type: 'Kill', cause: 'Requested' }]);
    const record = taskRecord({ kill: { cause: 'Requested', requestedAtMs: NOW, deadlineMs: NOW + 3000 } });
    expect(plan(running({ document: killWanted, record }), NOW + 1)).toEqual([{ type: 'WakeAt', timeMs: NOW + 3000 }]);
    expect(plan(running({ document: killWanted, record }), NOW + 3000)).toEqual([{ type: 'ForceKill' }]);
    const forced = { ...record, kill: { ...record.kill!, forcedAtMs: NOW + 3000 } };
    expect(plan(running({ document: killWanted, record: forced }), NOW + 3001)).toEqual([
      { type: 'WakeAt', timeMs: NOW + 13_000 },
    ]);
    expect(plan(running({ document: killWanted, record: forced }), NOW + 13_000)).toEqual([{ type: 'ForceKill' }]);
  });

  test('is ended when its document is gone or terminal, but not while documents are not known', () => {
    expect(plan(running({ document: undefined }), NOW)).toEqual([{ type: 'Kill', cause: 'DocumentGone' }]);
    expect(plan(running({ document: undefined, documentsKnown: false }), NOW)).toEqual([]);
    expect(plan(running({ document: documentView({ state: 'GoneByOperator', reported: true }) }), NOW)).toEqual([
      { type: 'Kill', cause: 'DocumentTerminal' },
    ]);
  });

  test('is ended after its longest time, also while the API server is away', () => {
    const record = taskRecord({ startedAtMs: NOW - 1000, maxCompletionTimeSeconds: 5 });
    expect(plan(running({ record }), NOW)).toEqual([{ type: 'WakeAt', timeMs: NOW + 4000 }]);
    const away = { record, document: undefined, documentsKnown: false };
    expect(plan(running(away), NOW + 4000)).toEqual([{ type: 'Kill', cause: 'MaxCompletionTime' }]);
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
  const intended = taskRecord({
    phase: 'Intended',
    startedAtMs: undefined,
    report: { state: 'Starting', source: 'Agent', history: [] },
  });

  test('is taken back when the container runs', () => {
    expect(types(plan(observed({ record: intended, container: { kind: 'Running' } }), NOW))).toEqual(['TakeBack']);
  });

  test('ends with the exit code when the container ended meanwhile', () => {
    const actions = plan(observed({ record: intended, container: ended({ exitCode: 7 }) }), NOW);
    expect(actions).toMatchObject([{ type: 'Settle', step: { state: 'Failed', reason: 'ExitCode', exitCode: 7 } }]);
  });

  test('is Dropped when nobody can say whether the command ran, and started when it certainly did not', () => {
    expect(plan(observed({ record: intended }), NOW)).toMatchObject([
      { type: 'Settle', step: { state: 'Dropped', reason: 'AgentRestarted' } },
    ]);
    expect(plan(observed({ record: intended, container: ended({ lost: true }) }), NOW)).toMatchObject([
      { step: { state: 'Dropped' } },
    ]);
    const neverStarted = { kind: 'None' as const, neverStarted: true };
    expect(types(plan(observed({ record: intended, container: neverStarted }), NOW))).toEqual(['Launch']);
    expect(
      plan(observed({ record: intended, container: neverStarted, document: undefined, documentsKnown: false }), NOW),
    ).toEqual([]);
  });
});

describe('an ended task', () => {
  test('is destroyed first, then reported, then released, then forgotten', () => {
    const report = { state: 'Finished' as const, source: 'Executor' as const, history: [] };
    expect(types(plan(observed({ record: taskRecord({ phase: 'Ended', report }) }), NOW))).toEqual(['Destroy']);
    const record = taskRecord({ phase: 'Cleaned', report });
    expect(types(plan(observed({ record }), NOW))).toEqual(['Report']);
    expect(plan(observed({ record, document: documentView({ state: 'Finished', reported: true }) }), NOW)).toEqual([]);
    const deleting = documentView({ state: 'Finished', reported: true, deleting: true });
    expect(types(plan(observed({ record, document: deleting }), NOW))).toEqual(['RemoveFinalizer']);
    expect(types(plan(observed({ record, document: undefined }), NOW))).toEqual(['Forget']);
    expect(plan(observed({ record, document: undefined, documentsKnown: false }), NOW)).toEqual([]);
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
    deleting: fc.boolean(),
    killWanted: fc.boolean(),
    hasFinalizer: fc.boolean(),
    reported: fc.boolean(),
  });
  const anyRecord: fc.Arbitrary<TaskRecord> = fc
    .record({
      phase: fc.constantFrom('Intended' as const, 'Launched' as const, 'Ended' as const, 'Cleaned' as const),
      bootId: fc.constantFrom('boot-1', 'boot-2'),
      startedAtMs: optional(time),
      maxCompletionTimeSeconds: optional(fc.integer({ min: 1, max: 100 })),
      kill: optional(
        fc.record({
          cause: fc.constantFrom('Requested' as const, 'MaxCompletionTime' as const, 'DocumentGone' as const),
          requestedAtMs: time,
          deadlineMs: time,
          forcedAtMs: optional(time),
        }),
      ),
      state: fc.constantFrom(...states),
    })
    .map(({ state, ...change }) => taskRecord({ ...change, report: { state, source: 'Agent', history: [] } }));
  const anyObserved: fc.Arbitrary<Observed> = fc.record({
    bootId: fc.constant('boot-1'),
    document: optional(anyDocument),
    documentsKnown: fc.boolean(),
    record: optional(anyRecord),
    container: fc.oneof(
      fc.record({ kind: fc.constant('None' as const), neverStarted: fc.boolean() }),
      fc.constant({ kind: 'Running' as const }),
      fc
        .record({
          exitCode: optional(fc.integer({ min: 0, max: 255 })),
          lost: optional(fc.constant(true)),
          oomKilled: fc.boolean(),
        })
        .map((end) => ended(end)),
    ),
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

  test('a task is never launched that is recorded as anything but provably never started', () =>
    always(({ record, container }, actions) => {
      if (!types(actions).includes('Launch') || record === undefined) return;
      expect(record.phase).toBe('Intended');
      expect(container).toEqual({ kind: 'None', neverStarted: true });
    }));

  test('a task is never launched that is killed, deleted, terminal, started elsewhere, or without a document', () =>
    always(({ document, record }, actions) => {
      if (!types(actions).includes('Launch')) return;
      expect(document).toBeDefined();
      expect(document!.deleting || document!.killWanted || isTerminal(document!.state)).toBe(false);
      if (record === undefined) expect([undefined, 'Staging', 'Unreachable']).toContain(document!.state);
    }));

  test('a decided outcome is never decided again', () =>
    always(({ record }, actions) => {
      if (record?.phase === 'Ended' || record?.phase === 'Cleaned') expect(types(actions)).not.toContain('Settle');
    }));

  test('outcomes are terminal states', () =>
    always((_observation, actions) => {
      for (const action of actions) if (action.type === 'Settle') expect(isTerminal(action.step.state)).toBe(true);
    }));

  test('a container is only destroyed after its outcome is durable, and the finalizer only goes after the container', () =>
    always(({ record, document }, actions) => {
      if (types(actions).includes('Destroy')) expect(record?.phase).toBe('Ended');
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
        const actions = types(plan(observation, now));
        const kill = observation.record?.kill;
        if (actions.includes('ForceKill'))
          expect(now).toBeGreaterThanOrEqual(
            kill!.deadlineMs < now || kill!.forcedAtMs !== undefined ? now : kill!.deadlineMs,
          );
        if (actions.includes('Kill')) expect(kill).toBeUndefined();
      }),
      { numRuns: 5000 },
    ));

  test('nothing is asked of the API server while there is no document', () =>
    always(({ document }, actions) => {
      if (document === undefined) expect(types(actions)).not.toEqual(expect.arrayContaining(['Report']));
    }));

  test('at most one step that changes something local is planned at a time, so that each is decided on what is then true', () =>
    always((_observation, actions) => {
      const local = types(actions).filter((type) => !['Report', 'Explain', 'RemoveFinalizer', 'WakeAt'].includes(type));
      expect(local.length).toBeLessThanOrEqual(1);
      if (local.length === 1) expect(actions).toHaveLength(1);
    }));
});
