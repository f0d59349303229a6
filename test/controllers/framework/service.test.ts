import { describe, expect, test } from '@jest/globals';
import { World } from './world.ts';

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

describe('rollout', () => {
  test('new tasks are made beside the old ones, which end when the new ones are ready', () => {
    const world = started({ replicas: 2 });
    const old = world.live();
    world.changeTemplate('new');
    world.settle();
    expect(world.live()).toHaveLength(4);
    expect(world.running()).toEqual(old);
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'RolloutInProgress' });
    world.runAll();
    world.settle();
    world.runAll();
    world.settle();
    expect(world.live()).toHaveLength(2);
    expect(world.live().some((name) => old.includes(name))).toBe(false);
    expect(world.condition('Ready')?.status).toBe('True');
    expect(world.events).toEqual(expect.arrayContaining(['RolloutStarted', 'RolloutCompleted']));
  });

  test('a change of anything but the template replaces no task', () => {
    const world = started({ replicas: 2 });
    const before = world.live();
    world.change({
      killSelection: 'OldestFirst',
      progressDeadlineSeconds: 5,
      template: { spec: { containers: [{ command: ['true'], name: 'main' }], volumes: [] } },
    });
    world.settle();
    expect(world.live()).toEqual(before);
  });

  test('with no capacity above, old tasks end first, as many as the health capacity lets go', () => {
    const world = started({ replicas: 4, updateStrategy: { minimumHealthCapacity: 0.5, maximumOverCapacity: 0 } });
    world.changeTemplate('new');
    world.settle();
    expect(world.running()).toHaveLength(2);
    expect(world.live()).toHaveLength(4);
    for (let round = 0; round < 4; round += 1) {
      world.runAll();
      world.settle();
    }
    expect(world.condition('Ready')?.status).toBe('True');
  });

  test('capacities that leave no room to move get room for one task', () => {
    const world = started({ replicas: 2, updateStrategy: { minimumHealthCapacity: 1, maximumOverCapacity: 0 } });
    world.changeTemplate('new');
    world.settle();
    expect(world.live()).toHaveLength(3);
    for (let round = 0; round < 6; round += 1) {
      world.runAll();
      world.settle();
      expect(world.running().length).toBeGreaterThanOrEqual(2);
    }
    expect(world.condition('Ready')?.status).toBe('True');
  });

  test('Recreate ends all old tasks before the first new one is made', () => {
    const world = started({ replicas: 2, updateStrategy: { type: 'Recreate' } });
    world.changeTemplate('new');
    world.settle();
    expect(world.live()).toEqual([]);
    expect(world.tasks.size).toBe(2);
    world.runAll();
    world.settle();
    expect(world.live()).toHaveLength(2);
  });

  test('minReadySeconds delays what may end', () => {
    const world = started({ replicas: 1, updateStrategy: { minReadySeconds: 30 } });
    world.pass(30);
    world.settle();
    world.changeTemplate('new');
    world.settle();
    world.runAll();
    world.settle();
    expect(world.live()).toHaveLength(2);
    expect(world.plan()).toEqual([{ type: 'PlanAgain', afterMs: 30_000 }]);
    world.pass(30);
    world.settle();
    expect(world.live()).toHaveLength(1);
  });

  test('a new task that wants the host port of an old one gets it', () => {
    const world = started({ replicas: 1 });
    world.changeTemplate('new');
    world.settle();
    const task = [...world.tasks.values()].find(({ spec }) => !spec.binding)!;
    task.status = { placement: { totalAgents: 1, reasons: [{ reason: 'HostPortInUse', agents: 1 }] } };
    world.settle();
    expect(world.live()).toEqual([task.metadata.name]);
  });

  test('going back to an earlier template works like any other change', () => {
    const world = started({ replicas: 1 });
    const revision = world.framework.status?.updateRevision;
    world.changeTemplate('new');
    world.settle();
    world.changeTemplate('true');
    world.settle();
    world.runAll();
    world.settle();
    expect(world.framework.status?.updateRevision).toBe(revision);
    expect(world.live()).toHaveLength(1);
    expect(world.condition('Ready')?.status).toBe('True');
  });
});

describe('volumes', () => {
  const volumeTemplates = [{ name: 'data', spec: { size: '1Gi' } }];

  test('each index has its volume, and a replacement gets the same', () => {
    const world = started({ replicas: 2, volumeTemplates });
    expect([...world.volumes]).toEqual(['data-web-0', 'data-web-1']);
    const failed = world.live()[1]!;
    world.report(failed, 'Failed');
    world.settle();
    world.pass(5);
    world.settle();
    const made = world.tasks.get(world.created.at(-1)!)!;
    expect(made.spec.index).toBe(1);
    expect(made.spec.volumes).toEqual([{ name: 'data', volume: { volumeName: 'data-web-1' } }]);
    expect(world.volumes.size).toBe(2);
  });

  test('a rollout ends the old task of an index before the new one is made', () => {
    const world = started({ replicas: 2, volumeTemplates });
    world.changeTemplate('new');
    world.settle();
    expect(world.running()).toHaveLength(1);
    expect(world.live()).toHaveLength(1);
    for (let round = 0; round < 6; round += 1) {
      world.runAll();
      world.settle();
      const byIndex = world.names((task) => !task.status?.finishTime).map((name) => world.tasks.get(name)!.spec.index);
      expect(new Set(byIndex).size).toBe(byIndex.length);
    }
    expect(world.condition('Ready')?.status).toBe('True');
  });

  test('a task with a volume is not replaced while its agent is unreachable', () => {
    const world = started({ replicas: 1, volumeTemplates });
    world.report(world.live()[0]!, 'Unreachable');
    world.settle();
    world.pass(100_000);
    world.settle();
    expect(world.created).toHaveLength(1);
    expect(world.condition('Ready')?.status).toBe('False');
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

function started(spec: ConstructorParameters<typeof World>[0]): World {
  const world = new World(spec);
  for (let round = 0; round < 3; round += 1) {
    world.settle();
    world.runAll();
  }
  world.settle();
  return world;
}

function indexes(world: World): number[] {
  return world
    .live()
    .map((name) => world.tasks.get(name)!.spec.index!)
    .sort();
}
