import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type HistoryPolicy, planHistory } from '../../../controllers/task/history.ts';
import { statusAfter } from '../../../controllers/task/status-change.ts';
import type { Task, TaskState } from '../../../crds/types.generated.ts';

const NOW = Date.parse('2026-01-02T00:00:00Z');
const minutesAgo = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString();
const ended = (name: string, state: TaskState, minutes: number, more: Partial<Task['metadata']> = {}): Task => ({
  metadata: { namespace: 'n', name, ...more },
  spec: { containers: [{ name: 'main', command: ['true'] }] },
  status: { state, finishTime: minutesAgo(minutes) },
});
const names = (tasks: Task[]) => tasks.map(({ metadata }) => metadata.name);

describe('history limits', () => {
  test('the oldest go first, and the kinds of ends are counted apart', () => {
    const tasks = [
      ended('f1', 'Finished', 5),
      ended('f2', 'Finished', 50),
      ended('f3', 'Finished', 500),
      ended('x1', 'Failed', 1),
      ended('x2', 'Killed', 2),
      ended('x3', 'Gone', 3),
    ];
    expect(names(planHistory(tasks, { finished: 1, failed: 2 }, NOW).delete)).toEqual(['f3', 'f2', 'x3']);
  });

  test('0 keeps nothing', () => {
    expect(
      names(planHistory([ended('f', 'Finished', 0), ended('x', 'Error', 0)], { finished: 0, failed: 0 }, NOW).delete),
    ).toHaveLength(2);
  });

  test('what is being deleted does not count', () => {
    const tasks = [ended('f1', 'Finished', 1, { deletionTimestamp: 't' }), ended('f2', 'Finished', 2)];
    expect(planHistory(tasks, { finished: 1, failed: 1 }, NOW).delete).toEqual([]);
  });

  test('tasks of their own live by number and by age', () => {
    const policy: HistoryPolicy = { finished: 2, failed: 2, total: 2, ttlMs: 60 * 60_000 };
    const plan = planHistory(
      [
        ended('new', 'Finished', 10),
        ended('failed', 'Failed', 20),
        ended('third', 'Finished', 30),
        ended('old', 'Finished', 61),
      ],
      policy,
      NOW,
    );
    expect(names(plan.delete)).toEqual(['old', 'third']);
    expect(plan.lookAgainAfterMs).toBe(40 * 60_000);
  });

  test('whatever ended, limits hold, nothing newer goes before something older of its kind, and a second look changes nothing', () => {
    const one = fc.record({ state: fc.constantFrom<TaskState>('Finished', 'Failed', 'Killed'), minutes: fc.nat(200) });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 20 }), fc.nat(5), fc.nat(5), (list, finished, failed) => {
        const tasks = list.map(({ state, minutes }, index) => ended(`t${index}`, state, minutes));
        const gone = new Set(planHistory(tasks, { finished, failed }, NOW).delete);
        const kept = tasks.filter((task) => !gone.has(task));
        const isFinished = (task: Task) => task.status?.state === 'Finished';
        expect(kept.filter(isFinished).length).toBeLessThanOrEqual(finished);
        expect(kept.filter((task) => !isFinished(task)).length).toBeLessThanOrEqual(failed);
        for (const dropped of gone) {
          for (const other of kept)
            if (isFinished(dropped) === isFinished(other))
              expect(other.status!.finishTime! >= dropped.status!.finishTime!).toBe(true);
        }
        expect(planHistory(kept, { finished, failed }, NOW).delete).toEqual([]);
      }),
    );
  });
});

describe('a state given by a controller', () => {
  test('comes with its reason, its time, conditions and a bounded history', () => {
    const history = Array.from({ length: 20 }, () => ({ state: 'Running' as const, time: 't' }));
    const status = statusAfter(
      { ...ended('a', 'Running', 0), status: { state: 'Running', containerId: 'c', history } },
      { state: 'Gone', reason: 'AgentRemoved', message: 'm' },
      NOW,
    );
    expect(status).toMatchObject({
      state: 'Gone',
      reason: 'AgentRemoved',
      source: 'Controller',
      containerId: 'c',
      finishTime: '2026-01-02T00:00:00Z',
    });
    expect(status.history).toHaveLength(20);
    expect(status.history?.at(-1)).toMatchObject({ state: 'Gone', source: 'Controller' });
    expect(status.conditions).toMatchObject([
      { type: 'Ready', status: 'False' },
      { type: 'Succeeded', status: 'False' },
    ]);
  });

  test('Unreachable is not an end', () => {
    const status = statusAfter(
      ended('a', 'Running', 0),
      { state: 'Unreachable', reason: 'AgentRemoved', message: 'm' },
      NOW,
    );
    expect(status).toMatchObject({
      unreachableTime: '2026-01-02T00:00:00Z',
      conditions: [{ status: 'Unknown' }, { status: 'Unknown' }],
    });
  });
});
