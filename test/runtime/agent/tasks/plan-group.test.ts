import { describe, expect, test } from '@jest/globals';
import { type Action, type Observed, plan } from '../../../../runtime/agent/tasks/plan.ts';
import type { ContainerRecord } from '../../../../runtime/agent/tasks/record.ts';
import { type EndedRun, noteEnds } from '../../../../runtime/agent/tasks/steps.ts';
import { containerRecord, documentView, ended, launchedTask, NOW, observed, taskRecord } from '../support/observed.ts';

const types = (actions: Action[]): string[] => actions.map(({ type }) => type);

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
