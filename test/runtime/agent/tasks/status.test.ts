import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { endOfTermination } from '../../../../runtime/agent/tasks/container-end.ts';
import { signalNumber, taskOutcome } from '../../../../runtime/agent/tasks/outcome.ts';
import {
  advance,
  type HistoryEntry,
  mergeHistories,
  type TaskReport,
  type TaskState,
} from '../../../../runtime/agent/tasks/status.ts';
import { noteEnds } from '../../../../runtime/agent/tasks/steps.ts';
import { NOW, taskRecord } from '../support/observed.ts';

const empty: TaskReport = { state: 'Staging', source: 'Agent', history: [] };
const termination = { containerId: 'c1', oomKilled: false, finishedAt: new Date(NOW) };

describe('a report', () => {
  test('keeps every transition in its history, also those that were never reported on their own', () => {
    const running = advance(advance(empty, { state: 'Starting' }, NOW), { state: 'Running', pid: 7 }, NOW + 5);
    const done = advance(running, { state: 'Finished', exitCode: 0, source: 'Executor' }, NOW + 9);
    expect(done.history.map(({ state }) => state)).toEqual(['Starting', 'Running', 'Finished']);
    expect(done).toMatchObject({ state: 'Finished', exitCode: 0, source: 'Executor', pid: 7 });
  });

  test('drops reason and message of the state before', () => {
    const failed = advance({ ...empty, reason: 'Old', message: 'old' }, { state: 'Running' }, NOW);
    expect(failed).not.toHaveProperty('reason');
    expect(failed).not.toHaveProperty('message');
  });

  test('never changes once it is terminal, and never holds more than 20 transitions', () => {
    const anyState = fc.constantFrom<TaskState>('Running', 'Killing', 'Finished', 'Failed', 'Starting', 'Gone');
    fc.assert(
      fc.property(
        fc.array(fc.record({ state: anyState, reason: fc.constantFrom(undefined, 'A', 'B') }), { maxLength: 60 }),
        (steps) => {
          let report = empty;
          for (const [index, step] of steps.entries()) {
            const before = report;
            report = advance(report, step, NOW + index);
            if (['Finished', 'Failed', 'Gone'].includes(before.state)) expect(report).toBe(before);
            expect(report.history.length).toBeLessThanOrEqual(20);
          }
        },
      ),
    );
  });
});

describe('histories of document and agent', () => {
  const entry = (state: TaskState, offset: number, source: 'Agent' | 'Controller' = 'Agent'): HistoryEntry => ({
    state,
    source,
    time: new Date(NOW + offset).toISOString(),
  });

  test('are merged in order of time, each entry once', () => {
    const ours = [entry('Starting', 1), entry('Running', 2), entry('Running', 90)];
    const theirs = [entry('Staging', 0, 'Controller'), entry('Starting', 1), entry('Unreachable', 50, 'Controller')];
    expect(mergeHistories(theirs, ours).map(({ state }) => state)).toEqual([
      'Staging',
      'Starting',
      'Running',
      'Unreachable',
      'Running',
    ]);
  });

  test('merge to the same list when merged again', () => {
    const entries = fc.array(
      fc.tuple(fc.constantFrom<TaskState>('Running', 'Starting', 'Unreachable'), fc.integer({ min: 0, max: 30 })),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(entries, entries, (a, b) => {
        const once = mergeHistories(
          a.map(([state, at]) => entry(state, at)),
          b.map(([state, at]) => entry(state, at)),
        );
        expect(mergeHistories(once, once)).toEqual(once);
        expect(once.length).toBeLessThanOrEqual(20);
      }),
    );
  });
});

describe('the outcome of a container', () => {
  const outcome = (end: object, record = {}) => {
    const noted = { name: 'main', run: 0, end: endOfTermination({ ...termination, ...end }) };
    return taskOutcome(noteEnds(taskRecord(record), [noted], 'boot-1'), 'boot-1');
  };
  const kill = (cause: 'Requested' | 'MaxCompletionTime') => ({ kill: { cause, requestedAtMs: NOW } });

  test.each([
    [{ exitCode: 0 }, {}, { state: 'Finished', exitCode: 0 }],
    [{ exitCode: 3 }, {}, { state: 'Failed', reason: 'ExitCode', message: 'exited with code 3' }],
    [{ signal: 11 }, {}, { state: 'Failed', reason: 'Signaled', message: 'ended by SIGSEGV' }],
    [{ exitCode: 0 }, kill('Requested'), { state: 'Killed', exitCode: 0 }],
    [
      { signal: 9, limitation: { reason: 'ContainerLimitationMemory', message: 'm', resource: 'mem' } },
      {},
      { state: 'Failed', reason: 'ContainerLimitationMemory', limitation: { resource: 'mem' } },
    ],
    [{ signal: 9, oomKilled: true }, {}, { state: 'Failed', reason: 'ContainerLimitationMemory' }],
    [{ signal: 15 }, kill('MaxCompletionTime'), { state: 'Failed', reason: 'MaxCompletionTimeReached' }],
    [{ lost: true }, {}, { state: 'Gone', reason: 'ExecutorTerminated' }],
    [{ lost: true }, { bootId: 'boot-0' }, { state: 'Gone', reason: 'AgentRestarted' }],
    [{ lost: true }, kill('Requested'), { state: 'Killed' }],
  ])('%j of a task %j is %j', (end, record, expected) => {
    expect(outcome(end, record)).toMatchObject(expected);
  });

  test('signals are known by name with and without SIG, and by number', () => {
    expect([
      signalNumber('SIGTERM'),
      signalNumber('int'),
      signalNumber('9'),
      signalNumber('SIGNO'),
      signalNumber('99'),
    ]).toEqual([15, 2, 9, undefined, undefined]);
  });
});
