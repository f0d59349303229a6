import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Agent, FrameworkRole, Task, Volume } from '../../../controllers/machinery/client/resources.ts';
import type { Task as TaskDocument, TaskSpec } from '../../../crds/types.generated.ts';
import { type Controllers, createNamespace, startApi, startControllers, tasksOf } from '../framework/harness.ts';
import { startTestAgent, type TestAgent } from '../framework/test-agent.ts';
import { eventually } from '../machinery/eventually.ts';

let server: Awaited<ReturnType<typeof startApi>>;
let agents: TestAgent[];
let controllers: Controllers;

beforeAll(async () => {
  server = await startApi();
  const allocatable = { cpus: 2, mem: '1Gi', disk: '10Gi', ports: '31000-31063' };
  agents = await Promise.all(
    ['x', 'y'].map((name) => startTestAgent(server.client, name, { status: { allocatable } })),
  );
  controllers = await startControllers(server.client);
});

afterAll(async () => {
  for (const agent of agents ?? []) await agent.stop();
  await controllers?.stop();
  await server?.stop();
});

describe('the scheduler against a real API server', () => {
  test('gives no room and no port twice while it is restarted in the middle and tasks end and are deleted', async () => {
    const { client } = server;
    const namespace = await createNamespace(client);
    const making = (async () => {
      for (let index = 0; index < 60; index += 1) {
        const command = index % 3 === 0 ? ['sleep'] : ['after', '50', '0'];
        await client.create(Task, task(namespace, `t${index}`, command, { cpus: '200m', mem: '16Mi' }));
      }
    })();
    for (let round = 0; round < 3; round += 1) {
      await delay(100);
      await controllers.stop();
      controllers = await startControllers(client);
      checkSums(await tasksOf(client, namespace));
    }
    await making;
    await eventually(async () => {
      const tasks = await tasksOf(client, namespace);
      checkSums(tasks);
      const waiting = tasks.filter(({ spec }) => !spec.binding);
      const running = tasks.filter(({ status }) => status?.state === 'Running');
      const finished = tasks.filter(({ status }) => status?.state === 'Finished');
      // 20 tasks run for ever and 2 agents have room for 20; the others come and go between them.
      expect([finished.length + running.length + waiting.length]).toEqual([60]);
      expect(running.length === 20 || finished.length === 40).toBe(true);
    }, 20_000);
    for (const { metadata } of await tasksOf(client, namespace))
      await client.delete(Task, { namespace, name: metadata.name! });
    await eventually(async () => expect(await tasksOf(client, namespace)).toEqual([]), 20_000);
  });

  test('places nothing on a drained agent, and says so', async () => {
    const { client } = server;
    const namespace = await createNamespace(client);
    for (const name of ['x', 'y']) await client.mergePatch(Agent, { name }, { spec: { drain: {} } });
    await client.create(Task, task(namespace, 'waits', ['sleep'], { cpus: '100m', mem: '16Mi' }));
    await eventually(async () => {
      const [waiting] = await tasksOf(client, namespace);
      expect(waiting?.status?.message).toBe('0/2 agents can run this task: 2 draining');
    });
    await client.mergePatch(Agent, { name: 'y' }, { spec: { drain: null } });
    await eventually(async () => expect((await tasksOf(client, namespace))[0]?.spec.binding?.agentName).toBe('y'));
    await client.mergePatch(Agent, { name: 'x' }, { spec: { drain: null } });
    await client.delete(Task, { namespace, name: 'waits' });
    await eventually(async () => expect(await tasksOf(client, namespace)).toEqual([]));
  });

  test('a task that waited and then ended at once does not say that it waits', async () => {
    const { client } = server;
    const namespace = await createNamespace(client);
    for (const name of ['x', 'y']) await client.mergePatch(Agent, { name }, { spec: { drain: {} } });
    await client.create(Task, task(namespace, 'short', ['after', '1', '0'], { cpus: '100m', mem: '16Mi' }));
    await eventually(async () => expect((await tasksOf(client, namespace))[0]?.status?.placement).toBeDefined());
    for (const name of ['x', 'y']) await client.mergePatch(Agent, { name }, { spec: { drain: null } });
    await eventually(async () => {
      const status = (await tasksOf(client, namespace))[0]?.status;
      expect(status).toMatchObject({ state: 'Finished' });
      expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'Scheduled', status: 'True' }));
      expect(status?.placement).toBeUndefined();
    });
    await client.delete(Task, { namespace, name: 'short' });
    await eventually(async () => expect(await tasksOf(client, namespace)).toEqual([]));
  });

  test('binds a volume that does not wait for a task at once', async () => {
    const { client } = server;
    const namespace = await createNamespace(client);
    const spec = { size: '1Gi', bindingMode: 'Immediate' as const, placement: { agentName: 'y' } };
    await client.create(Volume, { metadata: { namespace, name: 'now' }, spec });
    await eventually(async () => {
      const volume = await client.get(Volume, { namespace, name: 'now' });
      expect(volume?.status).toMatchObject({ state: 'Available', agentName: 'y' });
    });
    await client.delete(Volume, { namespace, name: 'now' });
    await eventually(async () => expect(await client.get(Volume, { namespace, name: 'now' })).toBeUndefined());
  });

  test('keeps to the quota of a role, and shows what it uses', async () => {
    const { client } = server;
    const namespace = await createNamespace(client);
    await client.create(FrameworkRole, {
      metadata: { name: 'limited' },
      spec: { quota: { limits: { cpus: '300m' } } },
    });
    await delay(100);
    for (const name of ['one', 'two']) {
      await client.create(Task, task(namespace, name, ['sleep'], { cpus: '200m', mem: '16Mi' }, { role: 'limited' }));
    }
    await eventually(async () => {
      const tasks = await tasksOf(client, namespace);
      expect(tasks.filter(({ spec }) => spec.binding)).toHaveLength(1);
      const waiting = tasks.find(({ spec }) => !spec.binding);
      expect(waiting?.status?.placement?.reasons?.[0]?.reason).toBe('QuotaExceeded');
      const role = await client.get(FrameworkRole, { name: 'limited' });
      expect(role?.status).toMatchObject({ tasks: 1, allocated: { cpus: '200m' } });
    });
    await client.delete(FrameworkRole, { name: 'limited' });
    await eventually(async () => {
      expect((await tasksOf(client, namespace)).filter(({ spec }) => spec.binding)).toHaveLength(2);
    });
    for (const name of ['one', 'two']) await client.delete(Task, { namespace, name });
  });
});

function checkSums(tasks: TaskDocument[]): void {
  const ports = new Set<string>();
  const cpus = new Map<string, number>();
  for (const { spec, status } of tasks) {
    if (!spec.binding || ['Finished', 'Killed'].includes(status?.state ?? '')) continue;
    const { agentName, hostPorts = [] } = spec.binding;
    cpus.set(agentName, (cpus.get(agentName) ?? 0) + 200);
    for (const { hostPort } of hostPorts) {
      expect(ports).not.toContain(`${agentName}:${hostPort}`);
      ports.add(`${agentName}:${hostPort}`);
    }
  }
  for (const sum of cpus.values()) expect(sum).toBeLessThanOrEqual(2000);
}

function task(
  namespace: string,
  name: string,
  command: string[],
  requests: { cpus: string; mem: string },
  more: Partial<TaskSpec> = {},
): TaskDocument {
  const containers = [{ name: 'main', command, resources: { requests }, ports: [{ name: 'http' }] }];
  return { metadata: { namespace, name }, spec: { containers, ...more } };
}
