/** What holds of the plan of a task whatever is observed. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Action, type Observed, plan } from '../../../../runtime/agent/tasks/plan.ts';
import type { ContainerRecord, TaskRecord } from '../../../../runtime/agent/tasks/record.ts';
import { isTerminal, type TaskState } from '../../../../runtime/agent/tasks/status.ts';
import { containerRecord, ended, launchedTask, NOW, taskRecord } from '../support/observed.ts';

const types = (actions: Action[]): string[] => actions.map(({ type }) => type);

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
    killGraceSeconds: fc.constantFrom(0, 3, 60),
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
          else if (stop!.forcedAtMs === undefined) {
            const graceMs = (observation.document?.killGraceSeconds ?? Infinity) * 1000;
            expect(now).toBeGreaterThanOrEqual(Math.min(stop!.deadlineMs, stop!.requestedAtMs + graceMs));
          }
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
        ['Launch', 'Kill', 'Refuse', 'Settle', 'NoteEnds', 'Forget'].includes(type),
      );
      if (deciding.length > 0) expect(actions).toHaveLength(1);
    }));

  test('one container gets at most one step at a time', () =>
    always((_observation, actions) => {
      const names = actions.flatMap((action) => ('name' in action ? [action.name] : []));
      expect(new Set(names).size).toBe(names.length);
    }));
});
