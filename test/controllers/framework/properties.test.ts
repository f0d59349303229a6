import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatIndexes, parseIndexes } from '../../../controllers/framework/index-set.ts';
import { revisionOf } from '../../../controllers/framework/revision.ts';
import { rolloutCapacities } from '../../../controllers/framework/rollout.ts';
import type { FrameworkSpec, TaskState } from '../../../crds/types.generated.ts';
import { isEnded, World } from './world.ts';

type Step = (world: World) => void;

describe('a Service, whatever happens to it', () => {
  test('keeps to its capacities, and comes to what is declared when the trouble ends', () => {
    fc.assert(
      fc.property(serviceSpec(), fc.array(serviceStep(), { maxLength: 25 }), (spec, steps) => {
        const world = new World(spec);
        world.settle();
        for (const step of steps) {
          step(world);
          checkPlan(world);
          world.settle();
          checkIndexes(world);
        }
        world.change({ paused: false });
        for (let round = 0; round < 40; round += 1) {
          world.pass(400);
          world.settle();
          for (const name of world.names((task) => task.status?.state === 'Unreachable')) world.report(name, 'Running');
          world.runAll();
        }
        world.settle();
        const desired = world.framework.spec.replicas ?? 1;
        expect(world.condition('Ready')?.status).toBe('True');
        expect(world.running()).toHaveLength(desired);
        expect(world.framework.status).toMatchObject({
          replicas: desired,
          availableReplicas: desired,
          updatedReplicas: desired,
        });
        world.pass(3600);
        world.settle();
        world.pass(3600);
        expect(world.plan()).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});

describe('a Job, also when its controller crashes between any two writes', () => {
  test('counts each end once, never runs an index twice at a time, and ends', () => {
    fc.assert(
      fc.property(jobSpec(), fc.array(jobStep(), { maxLength: 40 }), (spec, steps) => {
        const world = new World(spec);
        const truth = { succeeded: new Set<string>(), failed: new Set<string>() };
        const watch = () => {
          for (const task of world.tasks.values()) {
            const uid = task.metadata.uid!;
            if (task.status?.state === 'Finished') truth.succeeded.add(uid);
            if (task.status?.state === 'Failed') truth.failed.add(uid);
          }
        };
        for (const step of steps) {
          step(world);
          watch();
          checkParallel(world);
        }
        for (let round = 0; round < 60 && !world.framework.status?.completionTime; round += 1) {
          world.pass(400);
          world.settle();
          for (const name of world.live()) world.report(name, 'Finished');
          world.runAll();
          watch();
          world.settle();
        }
        world.runAll();
        watch();
        world.settle();
        const { status } = world.framework;
        const { completions = 1, completionMode } = spec.job ?? {};
        expect(status?.completionTime).toBeDefined();
        expect(status?.failed).toBe(truth.failed.size);
        if (completionMode === 'Indexed') expect(status?.succeeded).toBe(parseIndexes(status?.completedIndexes).size);
        else expect(status?.succeeded).toBe(truth.succeeded.size);
        if (world.condition('Succeeded')?.status === 'True')
          expect(status?.succeeded).toBeGreaterThanOrEqual(completions);
        expect(world.names((task) => (task.metadata.finalizers ?? []).length > 0)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('small parts', () => {
  test('capacities always leave room to move', () => {
    fc.assert(
      fc.property(serviceSpec(), fc.integer({ min: 1, max: 50 }), (spec, desired) => {
        const { minimum, maximum } = rolloutCapacities(spec, desired);
        expect(minimum < desired || maximum > desired).toBe(true);
        expect(minimum).toBeLessThanOrEqual(desired);
        expect(maximum).toBeGreaterThanOrEqual(desired);
      }),
    );
  });

  test('index sets read back as they were written', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(300)), (indexes) => {
        expect(parseIndexes(formatIndexes(new Set(indexes)))).toEqual(new Set(indexes));
      }),
    );
  });

  test('the revision does not depend on the order of fields, nor on absent ones', () => {
    const one = { template: { spec: { containers: [{ name: 'a', command: ['x'] }], user: 'me' } } };
    const other = { template: { spec: { user: 'me', volumes: [], containers: [{ command: ['x'], name: 'a' }] } } };
    expect(revisionOf(other)).toBe(revisionOf(one));
    expect(revisionOf({ template: { spec: { ...one.template.spec, user: 'you' } } })).not.toBe(revisionOf(one));
  });
});

/** What one plan ends must leave the minimum of available tasks, and what it makes must not exceed the maximum. */
function checkPlan(world: World): void {
  const { spec } = world.framework;
  const desired = spec.replicas ?? 1;
  const { minimum, maximum } = rolloutCapacities(spec, desired);
  const actions = world.plan();
  if (spec.paused) expect(actions.some(({ type }) => type === 'DeleteTask' || type === 'CreateTask')).toBe(false);
  const isAvailable = (name: string) =>
    world.tasks.get(name)?.status?.state === 'Running' && !world.tasks.get(name)?.metadata.deletionTimestamp;
  const available = world.live().filter(isAvailable).length;
  const ended = actions.flatMap((action) =>
    action.type === 'DeleteTask' && isAvailable(action.name) ? [action.name] : [],
  );
  if (ended.length > 0) expect(available - ended.length).toBeGreaterThanOrEqual(Math.min(minimum, desired));
  const made = actions.filter(({ type }) => type === 'CreateTask').length;
  const counted = world.live().filter((name) => world.tasks.get(name)?.status?.state !== 'Unreachable').length;
  if (made > 0) expect(counted + made).toBeLessThanOrEqual(Math.max(maximum, desired));
}

/** No two tasks of one revision have the same index; with volumes no two tasks at all. */
function checkIndexes(world: World): void {
  const resident = (world.framework.spec.volumeTemplates ?? []).length > 0;
  const seen = new Set<string>();
  for (const task of world.tasks.values()) {
    if (isEnded(task)) continue;
    if (!resident && (task.metadata.deletionTimestamp || task.status?.state === 'Unreachable')) continue;
    const revision = resident ? '' : task.metadata.labels!['tepui.dev/revision'];
    const id = `${revision} ${task.spec.index}`;
    if (!resident && task.status?.history) continue;
    expect(seen).not.toContain(id);
    seen.add(id);
  }
}

function checkParallel(world: World): void {
  const { parallelism = 1, completionMode } = world.framework.spec.job ?? {};
  expect(world.live().length).toBeLessThanOrEqual(parallelism);
  if (completionMode !== 'Indexed') return;
  const indexes = world.live().map((name) => world.tasks.get(name)!.spec.index);
  expect(new Set(indexes).size).toBe(indexes.length);
}

function serviceSpec(): fc.Arbitrary<Partial<FrameworkSpec>> {
  const capacity = fc.constantFrom(0, 0.25, 0.5, 1);
  return fc.record({
    replicas: fc.nat(5),
    updateStrategy: fc.record({
      type: fc.constantFrom('RollingUpdate' as const, 'RollingUpdate' as const, 'Recreate' as const),
      minimumHealthCapacity: capacity,
      maximumOverCapacity: capacity,
    }),
    killSelection: fc.constantFrom('YoungestFirst' as const, 'OldestFirst' as const),
    volumeTemplates: fc.constantFrom([], [], [{ name: 'data', spec: { size: '1Gi' } }]),
  });
}

function serviceStep(): fc.Arbitrary<Step> {
  const pick = fc.nat(20);
  const state = fc.constantFrom<TaskState>(
    'Starting',
    'Running',
    'Running',
    'Running',
    'Failed',
    'Finished',
    'Gone',
    'Killed',
  );
  return fc.oneof(
    fc.tuple(pick, state).map(
      ([at, to]): Step =>
        (world) =>
          world.report(nth(world.names(), at), to),
    ),
    fc.constant<Step>((world) => world.runAll()),
    fc.integer({ min: 1, max: 400 }).map(
      (seconds): Step =>
        (world) =>
          world.pass(seconds),
    ),
    fc.nat(5).map(
      (replicas): Step =>
        (world) =>
          world.change({ replicas }),
    ),
    fc.nat(3).map(
      (command): Step =>
        (world) =>
          world.changeTemplate(`v${command}`),
    ),
    fc.boolean().map(
      (paused): Step =>
        (world) =>
          world.change({ paused }),
    ),
  );
}

function jobSpec(): fc.Arbitrary<Partial<FrameworkSpec>> {
  return fc
    .record({
      completions: fc.integer({ min: 1, max: 5 }),
      parallelism: fc.integer({ min: 1, max: 4 }),
      completionMode: fc.constantFrom('NonIndexed' as const, 'Indexed' as const),
      backoffLimit: fc.nat(6),
    })
    .map((job) => ({ type: 'Job' as const, job }));
}

function jobStep(): fc.Arbitrary<Step> {
  const pick = fc.nat(20);
  const state = fc.constantFrom<TaskState>('Running', 'Finished', 'Finished', 'Failed', 'Dropped', 'Gone');
  return fc.oneof(
    fc.tuple(pick, state).map(
      ([at, to]): Step =>
        (world) =>
          world.report(nth(world.live(), at), to === 'Gone' ? 'Running' : to),
    ),
    fc.integer({ min: 1, max: 400 }).map(
      (seconds): Step =>
        (world) =>
          world.pass(seconds),
    ),
    // The controller gets as far as this in its plan, and then is started again.
    fc.nat(6).map(
      (count): Step =>
        (world) => {
          for (const action of world.plan().slice(0, count)) world.apply(action);
        },
    ),
    fc.constant<Step>((world) => world.settle()),
    // Somebody deletes a task; history limits remove an ended one.
    pick.map(
      (at): Step =>
        (world) => {
          const task = world.tasks.get(nth(world.names(), at));
          if (task) world.apply({ type: 'DeleteTask', name: task.metadata.name!, uid: task.metadata.uid! });
        },
    ),
    fc.constant<Step>((world) => {
      for (const name of world.names((task) => task.metadata.deletionTimestamp !== undefined))
        world.report(name, 'Killed');
    }),
  );
}

function nth(names: string[], at: number): string {
  return names.length === 0 ? '' : names[at % names.length]!;
}
