/** How a Service gets from one template to the next, with and without volumes. */
import { describe, expect, test } from '@jest/globals';
import { started } from './world.ts';

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
