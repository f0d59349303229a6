import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { removeAgent, upsertAgent } from '../../../controllers/scheduler/agents.ts';
import { type Cluster, createCluster } from '../../../controllers/scheduler/cluster.ts';
import { explain } from '../../../controllers/scheduler/explain.ts';
import { plan } from '../../../controllers/scheduler/plan.ts';
import { removeTask, unassumeTask, upsertTask } from '../../../controllers/scheduler/tasks.ts';
import { removeVolume, unassumeVolume, upsertVolume } from '../../../controllers/scheduler/volumes.ts';
import type { Agent, Constraint, Task, Volume } from '../../../crds/types.generated.ts';
import { agentDocument, condition, taskDocument, usesVolume, volumeDocument } from './documents.ts';

/** Documents as a server would hold them, and the scheduler's view, which sees them late or not at all. */
interface World {
  cluster: Cluster;
  agents: Map<string, Agent>;
  tasks: Map<string, Task>;
  volumes: Map<string, Volume>;
}

type Step = (world: World) => void;

describe('whatever happens to agents, tasks and volumes', () => {
  test('no agent is given more than it has, no port twice, no exclusive volume to two, nothing to a closed agent', () => {
    fc.assert(
      fc.property(fc.array(step(), { maxLength: 60 }), (steps) => {
        const world: World = { cluster: createCluster(), agents: new Map(), tasks: new Map(), volumes: new Map() };
        for (const apply of steps) {
          apply(world);
          placeAndCheck(world);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('what is counted bit by bit equals what a scheduler that starts now counts', () => {
    fc.assert(
      fc.property(fc.array(step(), { maxLength: 60 }), (steps) => {
        const world: World = { cluster: createCluster(), agents: new Map(), tasks: new Map(), volumes: new Map() };
        for (const apply of steps) {
          apply(world);
          placeAndCheck(world);
        }
        const fresh = createCluster();
        for (const agent of world.agents.values()) upsertAgent(fresh, agent);
        for (const volume of world.volumes.values()) upsertVolume(fresh, volume);
        for (const task of world.tasks.values()) upsertTask(fresh, task);
        expect(accounts(world.cluster)).toEqual(accounts(fresh));
        expect(plan(fresh, 0).filter((action) => action.type === 'BindTask')).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('every waiting task gets an explanation that counts every agent once', () => {
    fc.assert(
      fc.property(fc.array(step(), { maxLength: 40 }), (steps) => {
        const world: World = { cluster: createCluster(), agents: new Map(), tasks: new Map(), volumes: new Map() };
        for (const apply of steps) apply(world);
        while (placeAndCheck(world) > 0);
        for (const shape of world.cluster.shapes.values()) {
          expect(shape.blocked).toBe(true);
          const { reasons, totalAgents } = explain(world.cluster, shape.demand);
          expect(totalAgents).toBe(world.agents.size);
          expect(reasons.reduce((sum, reason) => sum + reason.agents, 0)).toBe(totalAgents);
          expect(new Set(reasons.map((reason) => reason.reason)).size).toBe(reasons.length);
          expect(reasons.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** One plan; each placement is written to the documents (and seen, or not yet) or fails. Returns how many were made. */
function placeAndCheck(world: World): number {
  let made = 0;
  for (const action of plan(world.cluster, 0)) {
    if (action.type !== 'BindTask') continue;
    made += 1;
    const name = action.key.slice(action.key.indexOf('/') + 1);
    const task = world.tasks.get(name)!;
    const agent = world.agents.get(action.agentName)!;
    expect(agent).toBeDefined();
    expect(agent.spec.drain).toBeUndefined();
    expect(agent.status?.conditions?.[0]?.status).toBe('True');
    for (const { key } of action.volumes) {
      const volume = world.volumes.get(key.slice(key.indexOf('/') + 1))!;
      expect([undefined, action.agentName]).toContain(volume.status?.agentName);
      const bound = { ...volume, status: { ...volume.status, agentName: action.agentName } };
      world.volumes.set(volume.metadata!.name!, bound);
      upsertVolume(world.cluster, bound);
    }
    const hostPorts = action.hostPorts.map((port) => ({ ...port }));
    const bound: Task = { ...task, spec: { ...task.spec, binding: { agentName: action.agentName, hostPorts } } };
    world.tasks.set(name, bound);
    upsertTask(world.cluster, bound);
    checkAgent(world, agent);
    checkVolumes(world);
  }
  return made;
}

function checkAgent(world: World, agent: Agent): void {
  const name = agent.metadata!.name!;
  const here = [...world.tasks.values()].filter((task) => task.spec.binding?.agentName === name && !isEnded(task));
  const sum = { cpus: 0, mem: 0, disk: 0, licenses: 0 };
  const ports = new Set<string>();
  for (const task of here) {
    const requests = task.spec.containers[0]!.resources!.requests as Record<string, number> & {
      custom?: { licenses: number };
    };
    sum.cpus += requests.cpus ?? 0.1;
    sum.mem += requests.mem ?? 0;
    sum.disk += requests.disk ?? 0;
    sum.licenses += requests.custom?.licenses ?? 0;
    for (const { hostPort, protocol } of task.spec.binding?.hostPorts ?? []) {
      expect(ports).not.toContain(`${hostPort}/${protocol}`);
      ports.add(`${hostPort}/${protocol}`);
    }
  }
  for (const volume of world.volumes.values()) {
    if (volume.status?.agentName === name) sum.disk += volume.spec.size as number;
  }
  const allocatable = agent.status!.allocatable as {
    cpus: number;
    mem: number;
    disk: number;
    custom: { licenses: number };
  };
  expect(Math.round(sum.cpus * 1000)).toBeLessThanOrEqual(allocatable.cpus * 1000);
  expect(sum.mem).toBeLessThanOrEqual(allocatable.mem);
  expect(sum.disk).toBeLessThanOrEqual(allocatable.disk);
  expect(sum.licenses).toBeLessThanOrEqual(allocatable.custom.licenses);
}

function checkVolumes(world: World): void {
  for (const volume of world.volumes.values()) {
    const users = [...world.tasks.values()].filter(
      (task) =>
        task.spec.binding && !isEnded(task) && task.spec.volumes?.[0]?.volume?.volumeName === volume.metadata!.name,
    );
    if (volume.spec.access !== 'Shared') expect(users.length).toBeLessThanOrEqual(1);
    for (const user of users) expect(user.spec.binding!.agentName).toBe(volume.status?.agentName);
  }
}

function isEnded(task: Task): boolean {
  return task.status?.state === 'Finished';
}

function accounts(cluster: Cluster): unknown {
  return {
    agents: [...cluster.agents.values()]
      .map((agent) => ({
        name: agent.name,
        known: agent.known,
        used: Object.entries(agent.used).filter(([, amount]) => amount !== 0),
        ports: [...agent.ports.users].sort(),
        perFramework: [...agent.perFramework].sort(),
        tasks: agent.taskCount,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    volumes: [...cluster.volumes.values()]
      .map((volume) => [volume.key, volume.agentName, [...volume.users].sort()])
      .sort(),
    waiting: [...cluster.shapes.values()].flatMap((shape) => [...shape.waiting.keys()]).sort(),
  };
}

function step(): fc.Arbitrary<Step> {
  const agentName = fc.constantFrom('a', 'b', 'c');
  const taskName = fc.constantFrom('t0', 't1', 't2', 't3', 't4', 't5', 't6', 't7');
  const volumeName = fc.constantFrom('v', 'w', 'x');
  let serial = 0;
  return fc.oneof(
    {
      weight: 3,
      arbitrary: fc.tuple(agentName, fc.integer({ min: 1, max: 8 }), fc.boolean(), fc.boolean()).map(
        ([name, size, drained, ready]): Step =>
          (world) => {
            // What is placed stays placed when an agent shrinks; the sums are only promised for placements after that.
            const before = world.agents.get(name)?.status?.allocatable?.cpus as number | undefined;
            const cpus = Math.max(size, before ?? 0);
            const agent = agentDocument(name, {
              spec: {
                attributes: [{ name: 'rack', text: name === 'c' ? 'r2' : 'r1' }],
                ...(drained ? { drain: {} } : {}),
              },
              status: {
                allocatable: { cpus, mem: cpus * 100, disk: cpus * 100, ports: '100-103', custom: { licenses: 1 } },
                conditions: [condition('Ready', ready ? 'True' : 'Unknown')],
              },
            });
            world.agents.set(name, agent);
            upsertAgent(world.cluster, agent);
          },
      ),
    },
    {
      weight: 1,
      arbitrary: agentName.map(
        (name): Step =>
          (world) => {
            world.agents.delete(name);
            removeAgent(world.cluster, name);
          },
      ),
    },
    {
      weight: 8,
      arbitrary: fc.tuple(taskName, demand()).map(
        ([name, spec]): Step =>
          (world) => {
            if (world.tasks.has(name)) return;
            serial += 1;
            const task = taskDocument(name, spec, { metadata: { uid: `uid-${serial}` } });
            world.tasks.set(name, task);
            upsertTask(world.cluster, task);
          },
      ),
    },
    {
      weight: 3,
      arbitrary: taskName.map(
        (name): Step =>
          (world) => {
            const task = world.tasks.get(name);
            if (!task) return;
            const ended = { ...task, status: { state: 'Finished' as const } };
            world.tasks.set(name, ended);
            upsertTask(world.cluster, ended);
          },
      ),
    },
    {
      weight: 3,
      arbitrary: taskName.map(
        (name): Step =>
          (world) => {
            world.tasks.delete(name);
            removeTask(world.cluster, `default/${name}`);
          },
      ),
    },
    {
      weight: 1,
      arbitrary: taskName.map(
        (name): Step =>
          (world) => {
            // A placement that cannot be written: the document stays unbound.
            const before = plan(world.cluster, 0);
            for (const action of before) {
              if (action.type !== 'BindTask') continue;
              unassumeTask(world.cluster, action.key, action.uid);
              for (const { key, uid } of action.volumes) unassumeVolume(world.cluster, key, uid);
            }
            const task = world.tasks.get(name);
            if (task) upsertTask(world.cluster, task);
          },
      ),
    },
    {
      weight: 3,
      arbitrary: fc.tuple(volumeName, fc.integer({ min: 1, max: 300 }), fc.boolean()).map(
        ([name, size, shared]): Step =>
          (world) => {
            if (world.volumes.has(name)) return;
            const volume = volumeDocument(name, { size, access: shared ? 'Shared' : 'Exclusive' });
            world.volumes.set(name, volume);
            upsertVolume(world.cluster, volume);
          },
      ),
    },
    {
      weight: 1,
      arbitrary: volumeName.map(
        (name): Step =>
          (world) => {
            // As with the finalizer of the volume controller: not while it is used.
            const used = [...world.tasks.values()].some(
              (task) => !isEnded(task) && task.spec.volumes?.[0]?.volume?.volumeName === name,
            );
            if (used) return;
            world.volumes.delete(name);
            removeVolume(world.cluster, `default/${name}`);
          },
      ),
    },
  );
}

function demand(): fc.Arbitrary<Parameters<typeof taskDocument>[1]> {
  const constraint = fc.constantFrom<Constraint[]>(
    [],
    [],
    [{ field: 'hostname', operator: 'Unique' }],
    [{ field: 'rack', operator: 'Cluster' }],
    [{ field: 'rack', operator: 'GroupBy' }],
    [{ field: 'rack', operator: 'MaxPer', value: '2' }],
    [{ field: 'rack', operator: 'Like', value: 'r[12]' }],
  );
  return fc
    .record({
      cpus: fc.integer({ min: 1, max: 30 }),
      mem: fc.integer({ min: 0, max: 300 }),
      licenses: fc.constantFrom(0, 0, 1),
      ports: fc.constantFrom<object[]>([], [{ name: 'p' }], [{ name: 'p', hostPort: 101 }, { name: 'q' }]),
      volume: fc.option(fc.constantFrom('v', 'w', 'x'), { nil: undefined, freq: 3 }),
      frameworkName: fc.constantFrom('f', 'g'),
      constraints: constraint,
    })
    .map(({ cpus, mem, licenses, ports, volume, frameworkName, constraints }) => ({
      requests: { cpus: cpus / 10, mem, custom: { licenses } } as never,
      ports,
      frameworkName,
      placement: { constraints },
      ...(volume ? { volumes: usesVolume(volume) } : {}),
    }));
}
