import { describe, expect, test } from '@jest/globals';
import type { FrameworkSpec, JobSpec } from '../../../crds/types.generated.ts';
import { World } from './world.ts';

describe('completions', () => {
  test('so many tasks run at a time as parallelism says, until enough have succeeded', () => {
    const world = job({ completions: 5, parallelism: 2 });
    let most = 0;
    for (let round = 0; round < 10; round += 1) {
      world.settle();
      most = Math.max(most, world.live().length);
      for (const name of world.live()) world.report(name, 'Finished');
    }
    world.settle();
    expect(most).toBe(2);
    expect(world.created).toEqual(['web-0', 'web-1', 'web-2', 'web-3', 'web-4']);
    expect(world.framework.status).toMatchObject({ succeeded: 5, failed: 0, active: 0 });
    expect(world.condition('Succeeded')).toMatchObject({ status: 'True', reason: 'JobSucceeded' });
    expect(world.framework.status?.completionTime).toBeDefined();
    expect(world.events).toContain('JobSucceeded');
    expect(world.plan()).toEqual([]);
  });

  test('a Job that runs has Succeeded Unknown, and is not Reconciling once its tasks are made', () => {
    const world = job({});
    world.settle();
    expect(world.condition('Succeeded')?.status).toBe('Unknown');
    expect(world.condition('Reconciling')?.status).toBe('False');
  });

  test('Indexed: each index runs until it succeeded once, and the indexes are told in short', () => {
    const world = job({ completions: 6, parallelism: 6, completionMode: 'Indexed' });
    world.settle();
    expect([...world.tasks.values()].map((task) => task.spec.index)).toEqual([0, 1, 2, 3, 4, 5]);
    for (const index of [0, 1, 2, 5]) world.report(`web-${index}`, 'Finished');
    world.report('web-3', 'Failed');
    world.settle();
    expect(world.framework.status).toMatchObject({
      completedIndexes: '0-2,5',
      failedIndexes: '3',
      succeeded: 4,
      failed: 1,
    });
    world.pass(2);
    world.settle();
    expect(world.live()).toEqual(['web-4', 'web-3-1']);
    for (const name of world.live()) world.report(name, 'Finished');
    world.settle();
    expect(world.framework.status).toMatchObject({ completedIndexes: '0-5', failedIndexes: '' });
    expect(world.condition('Succeeded')?.status).toBe('True');
  });

  test('ended tasks are let go of only when they are counted', () => {
    const world = job({ completions: 2 });
    world.settle();
    world.report('web-0', 'Finished');
    const types = world.plan().map(({ type }) => type);
    expect(types.indexOf('WriteStatus')).toBeGreaterThanOrEqual(0);
    expect(types.indexOf('WriteStatus')).toBeLessThan(types.indexOf('RemoveAccounting'));
  });
});

describe('failures', () => {
  test('are retried with a growing delay until backoffLimit is exceeded, then the rest ends', () => {
    const world = job({ completions: 3, parallelism: 2, backoffLimit: 2 });
    for (let round = 0; round < 3; round += 1) {
      world.settle();
      world.pass(400);
      world.settle();
      world.report(world.live()[0]!, 'Failed', { reason: 'ExitCode', message: 'exit code 1' });
    }
    world.settle();
    expect(world.condition('Failed')).toMatchObject({
      status: 'True',
      reason: 'BackoffLimitExceeded',
      message: expect.stringContaining('exit code 1'),
    });
    expect(world.condition('Succeeded')?.status).toBe('False');
    expect(world.condition('Stalled')?.status).toBe('True');
    world.runAll();
    world.settle();
    expect(world.live()).toEqual([]);
    expect(world.framework.status).toMatchObject({ failed: 3, active: 0 });
  });

  test('an invalid task fails the Job at once: trying again cannot help', () => {
    const world = job({ backoffLimit: 6 });
    world.settle();
    world.report('web-0', 'Error', { reason: 'TaskInvalid', message: 'user "nosuch" does not exist' });
    world.settle();
    expect(world.condition('Failed')).toMatchObject({ status: 'True', reason: 'TaskInvalid' });
  });

  test('tasks of drained agents, dropped and deleted ones are made again and not held against the Job', () => {
    const world = job({ completions: 3, parallelism: 3, backoffLimit: 0 });
    world.settle();
    world.report('web-0', 'Killed', { reason: 'AgentDraining' });
    world.report('web-1', 'Dropped');
    world.report('web-2', 'Running');
    world.apply({ type: 'DeleteTask', name: 'web-2', uid: world.tasks.get('web-2')!.metadata.uid! });
    world.report('web-2', 'Killed');
    world.pass(10);
    world.settle();
    world.pass(10);
    world.settle();
    expect(world.condition('Failed')?.status).toBe('False');
    expect(world.live()).toHaveLength(3);
    expect(world.framework.status).toMatchObject({ failed: 0, succeeded: 0 });
  });

  test('a Job that takes longer than activeDeadlineSeconds has failed', () => {
    const world = job({ activeDeadlineSeconds: 60 });
    world.settle();
    expect(world.plan()).toEqual([{ type: 'PlanAgain', afterMs: 60_000 }]);
    world.pass(60);
    world.settle();
    expect(world.condition('Failed')).toMatchObject({ status: 'True', reason: 'DeadlineExceeded' });
    expect(world.live()).toEqual([]);
  });
});

describe('life', () => {
  test('suspend ends the tasks without counting them, and the Job goes on later', () => {
    const world = job({ completions: 2, parallelism: 2 });
    world.settle();
    world.runAll();
    world.report('web-0', 'Finished');
    world.change({ job: { completions: 2, parallelism: 2, suspend: true } });
    world.settle();
    world.runAll();
    world.settle();
    expect(world.live()).toEqual([]);
    expect(world.condition('Suspended')?.status).toBe('True');
    expect(world.framework.status).toMatchObject({ succeeded: 1, failed: 0 });
    expect(world.framework.status?.startTime).toBeUndefined();
    world.change({ job: { completions: 2, parallelism: 2 } });
    world.settle();
    expect(world.live()).toHaveLength(1);
    expect(world.events).toEqual(expect.arrayContaining(['JobSuspended', 'JobResumed']));
  });

  test('the Framework is deleted ttlSecondsAfterFinished after its end', () => {
    const world = job({ ttlSecondsAfterFinished: 30 });
    world.settle();
    world.report('web-0', 'Finished');
    world.settle();
    expect(world.plan()).toEqual([{ type: 'PlanAgain', afterMs: 30_000 }]);
    world.pass(30);
    world.once();
    expect(world.frameworkDeleted).toBe(true);
  });

  test('a Job waits for its dependencies once', () => {
    const world = job({ completions: 2 });
    world.unmet = ['Framework "map" is not Succeeded'];
    world.settle();
    expect(world.created).toEqual([]);
    expect(world.condition('Reconciling')).toMatchObject({ status: 'True', reason: 'WaitingForDependencies' });
    world.unmet = [];
    world.settle();
    world.unmet = ['Framework "map" is not Succeeded'];
    world.report('web-0', 'Finished');
    world.settle();
    expect(world.created).toEqual(['web-0', 'web-1']);
  });

  test('a Job that is being deleted lets go of all its tasks', () => {
    const world = job({});
    world.settle();
    world.framework.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    expect(world.plan()).toEqual([{ type: 'RemoveAccounting', name: 'web-0', uid: 'uid-1' }]);
  });

  test('a smaller parallelism ends tasks, a larger one makes more', () => {
    const world = job({ completions: 9, parallelism: 4 });
    world.settle();
    world.change({ job: { completions: 9, parallelism: 1 } });
    world.settle();
    expect(world.live()).toHaveLength(1);
    world.change({ job: { completions: 9, parallelism: 3 } });
    world.settle();
    expect(world.live()).toHaveLength(3);
    expect(world.framework.status?.failed).toBe(0);
  });
});

function job(spec: JobSpec, more: Partial<FrameworkSpec> = {}): World {
  return new World({ type: 'Job', job: spec, ...more });
}
