import { describe, expect, test } from '@jest/globals';
import { indexes, started, World } from './world.ts';

describe('replicas', () => {
  test('as many tasks are made as are wanted, and then the Framework is Ready', () => {
    const world = new World({ replicas: 3 });
    world.settle();
    expect(world.live()).toHaveLength(3);
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'TasksNotReady' });
    expect(world.condition('Reconciling')).toMatchObject({ status: 'True' });
    world.runAll();
    world.settle();
    expect(world.condition('Ready')).toEqual({
      status: 'True',
      reason: 'TasksReady',
      message: '3 of 3 tasks are available',
    });
    expect(world.condition('Reconciling')).toMatchObject({ status: 'False' });
    expect(world.framework.status).toMatchObject({
      replicas: 3,
      readyReplicas: 3,
      updatedReplicas: 3,
      availableReplicas: 3,
    });
    expect(world.framework.status?.currentRevision).toBe(world.framework.status?.updateRevision);
  });

  test('a task says to whom it belongs, and which one it is', () => {
    const world = new World({
      role: 'eng',
      template: { metadata: { labels: { app: 'x' } }, spec: { containers: [] } },
    });
    world.settle();
    const [task] = world.tasks.values();
    expect(task).toMatchObject({
      metadata: {
        labels: {
          app: 'x',
          'app.kubernetes.io/managed-by': 'tepui',
          'tepui.dev/framework': 'web',
          'tepui.dev/task-index': '0',
          'tepui.dev/revision': world.framework.status?.updateRevision,
        },
        ownerReferences: [{ kind: 'Framework', name: 'web', uid: 'uid-of-web', controller: true }],
      },
      spec: { frameworkName: 'web', index: 0, role: 'eng' },
    });
    expect(task!.metadata.finalizers).toBeUndefined();
  });

  test('scaling up adds indexes, scaling down ends the youngest, to zero ends all', () => {
    const world = started({ replicas: 2 });
    const [first] = world.live();
    world.pass(10);
    world.change({ replicas: 3 });
    world.settle();
    world.runAll();
    expect(indexes(world)).toEqual([0, 1, 2]);
    world.change({ replicas: 1 });
    world.settle();
    expect(world.live()).toEqual([first]);
    world.change({ replicas: 0 });
    world.settle();
    world.runAll();
    world.settle();
    expect(world.live()).toEqual([]);
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'ScaledToZero' });
  });

  test('tasks without a place end first when scaling down, then by killSelection', () => {
    const world = started({ replicas: 2, killSelection: 'OldestFirst' });
    const old = world.live();
    world.pass(10);
    world.change({ replicas: 3 });
    world.settle();
    world.change({ replicas: 2 });
    world.settle();
    expect(world.live()).toEqual(old);
    world.change({ replicas: 1 });
    world.settle();
    expect(world.live()).toEqual([old[1]]);
  });

  test('a paused Framework is left as it is', () => {
    const world = started({ replicas: 2 });
    world.change({ paused: true, replicas: 5 });
    world.report(world.live()[0]!, 'Failed');
    world.settle();
    expect(world.live()).toHaveLength(1);
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'Paused' });
    world.change({ paused: false });
    world.settle();
    world.pass(5);
    world.settle();
    expect(world.live()).toHaveLength(5);
  });

  test('a converged Framework needs nothing', () => {
    const world = started({ replicas: 3 });
    world.pass(3600);
    expect(world.plan()).toEqual([]);
  });
});

describe('failures', () => {
  test('a task that ended is replaced after the delay, which grows and has a limit', () => {
    const world = started({ replicas: 1, backoff: { initialSeconds: 1, factor: 2, maxSeconds: 3 } });
    const delays: (number | undefined)[] = [];
    for (let round = 0; round < 4; round += 1) {
      world.report(world.live()[0]!, 'Failed', { reason: 'ExitCode', message: 'exit code 1' });
      world.settle();
      expect(world.live()).toEqual([]);
      expect(world.condition('Ready')?.reason).toBe('BackingOff');
      const again = world.plan().find((action) => action.type === 'PlanAgain');
      delays.push(again?.afterMs);
      world.pass((again?.afterMs ?? 0) / 1000);
      world.settle();
      expect(world.live()).toHaveLength(1);
      world.runAll();
      world.settle();
    }
    expect(delays).toEqual([1000, 2000, 3000, 3000]);
    expect(world.events).toContain('TaskEnded');
  });

  test('the delay starts over when a replacement stays up', () => {
    const world = started({ replicas: 1 });
    world.report(world.live()[0]!, 'Failed');
    world.settle();
    world.pass(2);
    world.settle();
    world.runAll();
    world.settle();
    expect(world.framework.status?.backoff?.failures).toBe(1);
    world.pass(61);
    world.settle();
    expect(world.framework.status?.backoff?.failures).toBe(0);
  });

  test('ended tasks that still exist are not counted again after the delay started over', () => {
    const world = started({ replicas: 1 });
    for (let round = 0; round < 3; round += 1) {
      world.report(world.live()[0]!, 'Failed');
      world.settle();
      world.pass(10);
      world.settle();
      world.runAll();
    }
    world.pass(100);
    world.settle();
    world.pass(100);
    world.settle();
    expect(world.framework.status?.backoff).toMatchObject({ failures: 0, delaySeconds: 0 });
  });

  test('a change of the template starts over at once', () => {
    const world = started({ replicas: 1 });
    for (let round = 0; round < 3; round += 1) {
      world.report(world.live()[0]!, 'Failed');
      world.settle();
      world.pass(10);
      world.settle();
      world.runAll();
    }
    world.report(world.live()[0]!, 'Failed');
    world.settle();
    expect(world.live()).toEqual([]);
    world.changeTemplate('fixed');
    world.settle();
    expect(world.live()).toHaveLength(1);
    expect(world.framework.status?.backoff?.failures).toBe(0);
  });

  test('tasks of a drained or lost agent are replaced without delay', () => {
    const world = started({ replicas: 2 });
    const [one, two] = world.live();
    world.report(one!, 'Killed', { reason: 'AgentDraining' });
    world.report(two!, 'GoneByOperator');
    world.settle();
    expect(world.live()).toHaveLength(2);
  });

  test('a task that the agent calls invalid makes the Framework Stalled', () => {
    const world = started({ replicas: 1 });
    world.report(world.live()[0]!, 'Error', { reason: 'TaskInvalid', message: 'user "nosuch" does not exist' });
    world.settle();
    expect(world.condition('Stalled')).toEqual({
      status: 'True',
      reason: 'TaskInvalid',
      message: expect.stringContaining('user "nosuch" does not exist'),
    });
    expect(world.condition('Reconciling')?.status).toBe('False');
  });

  test('the Framework tells why its tasks have no place, and is Stalled when that lasts', () => {
    const world = new World({ replicas: 1, progressDeadlineSeconds: 60 });
    world.settle();
    const task = world.tasks.get(world.live()[0]!)!;
    task.status = {
      placement: { totalAgents: 1, reasons: [{ reason: 'InsufficientCpus', agents: 1 }] },
      conditions: [
        { type: 'Scheduled', status: 'False', reason: 'Unschedulable', message: '0/1 agents', lastTransitionTime: '' },
      ],
    };
    world.settle();
    expect(world.condition('Ready')).toMatchObject({
      reason: 'TasksUnschedulable',
      message: expect.stringContaining('0/1 agents'),
    });
    expect(world.plan()).toEqual([{ type: 'PlanAgain', afterMs: 60_000 }]);
    world.pass(60);
    world.settle();
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'ProgressDeadlineExceeded' });
    expect(world.events).toContain('ProgressDeadlineExceeded');
    world.runAll();
    world.settle();
    expect(world.condition('Stalled')?.status).toBe('False');
    expect(world.condition('Ready')?.status).toBe('True');
  });
});

describe('unreachable tasks', () => {
  test('are replaced after inactiveAfterSeconds, and one of both ends when they come back', () => {
    const world = started({
      replicas: 1,
      unreachableStrategy: { inactiveAfterSeconds: 300, expungeAfterSeconds: 600 },
    });
    const lost = world.live()[0]!;
    world.report(lost, 'Unreachable');
    world.settle();
    expect(world.live()).toHaveLength(1);
    expect(world.plan()).toEqual([{ type: 'PlanAgain', afterMs: 300_000 }]);
    world.pass(300);
    world.settle();
    expect(world.live()).toHaveLength(2);
    world.runAll();
    world.settle();
    expect(world.condition('Ready')?.status).toBe('True');
    world.report(lost, 'Running');
    world.settle();
    expect(world.live()).toHaveLength(1);
  });

  test('are given up after expungeAfterSeconds: deleted, so that they end when they come back', () => {
    const world = started({ replicas: 1, unreachableStrategy: { inactiveAfterSeconds: 0, expungeAfterSeconds: 600 } });
    const lost = world.live()[0]!;
    world.report(lost, 'Unreachable');
    world.pass(600);
    world.settle();
    expect(world.tasks.get(lost)?.metadata.deletionTimestamp).toBeDefined();
  });

  test('are never replaced when that is disabled', () => {
    const world = started({ replicas: 1, unreachableStrategy: { disabled: true } });
    world.report(world.live()[0]!, 'Unreachable');
    world.pass(100_000);
    world.settle();
    expect(world.created).toHaveLength(1);
  });
});

describe('what is not done', () => {
  test.each([
    ['Cron', { type: 'Cron' as const, cron: { schedule: '@hourly' } }],
    ['Daemon', { type: 'Daemon' as const }],
    ['External', { type: 'External' as const, external: {} }],
  ])('type %s is refused by name', (type, spec) => {
    const world = new World(spec);
    world.settle();
    expect(world.created).toEqual([]);
    expect(world.condition('Stalled')).toMatchObject({
      status: 'True',
      reason: 'NotImplemented',
      message: expect.stringContaining(`spec.type: ${type}`),
    });
    expect(world.events).toEqual(['NotImplemented']);
  });

  test('nothing is made before the dependencies are there; what runs is not ended when they go', () => {
    const world = new World({ replicas: 1 });
    world.unmet = ['Framework "db" is not Ready'];
    world.settle();
    expect(world.created).toEqual([]);
    expect(world.condition('Reconciling')).toMatchObject({
      status: 'True',
      reason: 'WaitingForDependencies',
      message: 'Framework "db" is not Ready',
    });
    world.unmet = [];
    world.settle();
    world.runAll();
    world.unmet = ['Framework "db" is not Ready'];
    world.settle();
    expect(world.condition('Ready')?.status).toBe('True');
  });

  test('a Framework that is being deleted makes nothing', () => {
    const world = new World({ replicas: 1 });
    world.framework.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    expect(world.plan()).toEqual([]);
  });
});
