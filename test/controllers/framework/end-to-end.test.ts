import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Framework, Task, Volume } from '../../../controllers/machinery/client/resources.ts';
import { eventually } from '../machinery/eventually.ts';
import {
  apply,
  type Controllers,
  conditionOf,
  createNamespace,
  eventsOf,
  frameworkOf,
  startApi,
  startControllers,
  tasksOf,
  template,
} from './harness.ts';
import { startTestAgent, type TestAgent } from './test-agent.ts';

let server: Awaited<ReturnType<typeof startApi>>;
let agent: TestAgent;
let controllers: Controllers;
let namespace: string;

beforeAll(async () => {
  server = await startApi();
  agent = await startTestAgent(server.client, 'one');
  controllers = await startControllers(server.client);
});

beforeEach(async () => {
  namespace = await createNamespace(server.client);
});

afterAll(async () => {
  await agent?.stop();
  await controllers?.stop();
  await server?.stop();
});

describe('a Service', () => {
  test('goes from document to running tasks, is rolled out, scaled and deleted', async () => {
    const { client } = server;
    await apply(client, namespace, 'web', { replicas: 2, template: template('sleep') });
    await isReady('web');
    const before = await tasksOf(client, namespace);
    expect(before).toHaveLength(2);
    expect(before.every((task) => task.spec.binding?.agentName === 'one')).toBe(true);
    expect(before[0]!.metadata.finalizers).toContain('tepui.dev/task-cleanup');

    await apply(client, namespace, 'web', { template: template('sleep new') });
    await eventually(async () => {
      const framework = await frameworkOf(client, namespace, 'web');
      expect(framework.status?.observedGeneration).toBe(framework.metadata.generation);
      expect(conditionOf(framework, 'Ready')?.status).toBe('True');
    });
    const after = await eventually(async () => {
      const tasks = await tasksOf(client, namespace);
      expect(tasks).toHaveLength(2);
      return tasks;
    });
    expect(after.some((task) => before.some((old) => old.metadata.uid === task.metadata.uid))).toBe(false);

    await client.mergePatch(Framework, { namespace, name: 'web' }, { spec: { replicas: 0 } }, 'scale');
    await eventually(async () => expect(await tasksOf(client, namespace)).toHaveLength(0));
    await isReady('web');

    await apply(client, namespace, 'web', { replicas: 1, template: template('sleep') });
    await isReady('web');
    await client.delete(Framework, { namespace, name: 'web' });
    await eventually(async () => expect(await tasksOf(client, namespace)).toHaveLength(0));
    const reasons = (await eventsOf(client, namespace)).map(({ reason }) => reason);
    expect(reasons).toEqual(
      expect.arrayContaining(['TasksCreated', 'RolloutStarted', 'RolloutCompleted', 'ScaledDown']),
    );
  });

  test('replaces a task that fails, with a delay, and says so', async () => {
    const { client } = server;
    await apply(client, namespace, 'crashing', {
      replicas: 1,
      template: template('exit 3'),
      backoff: { initialSeconds: 0.05, factor: 1.5, maxSeconds: 1 },
    });
    await eventually(async () => {
      const framework = await frameworkOf(client, namespace, 'crashing');
      expect(framework.status?.backoff?.failures).toBeGreaterThanOrEqual(3);
      expect(conditionOf(framework, 'Ready')).toMatchObject({ status: 'False', reason: 'BackingOff' });
    });
    const names = agent.started.filter((name) => name.startsWith('crashing-'));
    expect(new Set(names).size).toBe(names.length);
    await client.delete(Framework, { namespace, name: 'crashing' });
    await eventually(async () => expect(await tasksOf(client, namespace)).toHaveLength(0));
  });

  test('that cannot be placed says why in the task, the framework and an Event, and runs when there is room', async () => {
    const { client } = server;
    const requests = { cpus: 100, mem: '1Gi' };
    const large = template('sleep');
    large!.spec.containers[0]!.resources = { requests };
    await apply(client, namespace, 'large', { template: large });
    const sentence = '0/1 agents can run this task: 1 insufficient cpus (needs 100, most free 4)';
    await eventually(async () => {
      const [task] = await tasksOf(client, namespace);
      expect(conditionOf(task!, 'Scheduled')).toMatchObject({
        status: 'False',
        reason: 'Unschedulable',
        message: sentence,
      });
      expect(task!.status).toMatchObject({ state: 'Staging', reason: 'Unscheduled' });
      expect(task!.status?.placement).toMatchObject({
        totalAgents: 1,
        reasons: [{ reason: 'InsufficientCpus', agents: 1 }],
      });
      const framework = await frameworkOf(client, namespace, 'large');
      expect(conditionOf(framework, 'Ready')?.reason).toBe('TasksUnschedulable');
      const events = await eventsOf(client, namespace);
      expect(events.some(({ reason, note }) => reason === 'FailedScheduling' && note === sentence)).toBe(true);
    });
    const second = await startTestAgent(client, 'two', { status: { allocatable: { cpus: 128, mem: '64Gi' } } });
    try {
      await isReady('large');
      await eventually(async () => {
        const [task] = await tasksOf(client, namespace);
        expect(conditionOf(task!, 'Scheduled')).toMatchObject({ status: 'True' });
        expect(task!.status?.placement).toBeUndefined();
      });
      await client.delete(Framework, { namespace, name: 'large' });
      await eventually(async () => expect(await tasksOf(client, namespace)).toHaveLength(0));
    } finally {
      await second.stop();
    }
  });

  test('waits for what it depends on', async () => {
    const { client } = server;
    await apply(client, namespace, 'front', { template: template('sleep'), dependsOn: [{ name: 'back' }] });
    await eventually(async () => {
      const framework = await frameworkOf(client, namespace, 'front');
      expect(conditionOf(framework, 'Ready')?.reason).toBe('WaitingForDependencies');
    });
    expect(await tasksOf(client, namespace)).toHaveLength(0);
    await apply(client, namespace, 'back', { template: template('sleep') });
    await isReady('front');
    for (const name of ['front', 'back']) await client.delete(Framework, { namespace, name });
    await eventually(async () => expect(await tasksOf(client, namespace)).toHaveLength(0));
  });
});

describe('volumes', () => {
  test('of a template are made per task, kept over a replacement, and outlive the Framework', async () => {
    const { client } = server;
    const volumeTemplates = [{ name: 'data', spec: { size: '1Gi' } }];
    await apply(client, namespace, 'db', { replicas: 2, template: template('sleep'), volumeTemplates });
    await isReady('db');
    await eventually(async () => {
      const volumes = (await client.list(Volume, { namespace })).items;
      expect(
        volumes.map((volume) => [volume.metadata.name, volume.status?.state, volume.status?.usedBy?.length]),
      ).toEqual([
        ['data-db-0', 'Available', 1],
        ['data-db-1', 'Available', 1],
      ]);
    });
    const [task] = await tasksOf(client, namespace);
    await client.delete(Task, { namespace, name: task!.metadata.name! });
    await isReady('db');
    await client.delete(Framework, { namespace, name: 'db' });
    await eventually(async () => expect(await tasksOf(client, namespace)).toHaveLength(0));
    expect((await client.list(Volume, { namespace })).items).toHaveLength(2);
    for (const name of ['data-db-0', 'data-db-1']) await client.delete(Volume, { namespace, name });
    await eventually(async () => expect((await client.list(Volume, { namespace })).items).toHaveLength(0));
    expect([...agent.directories].filter((key) => key.startsWith(namespace))).toHaveLength(2);
  });

  test('stay while a task uses them; with reclaimPolicy Delete the data goes after the last user', async () => {
    const { client } = server;
    const spec = { size: '1Gi', reclaimPolicy: 'Delete' as const };
    await client.create(Volume, { metadata: { namespace, name: 'scratch' }, spec });
    const volumes = [{ name: 'data', volume: { volumeName: 'scratch' } }];
    await apply(client, namespace, 'user', { template: template('sleep', { volumes }) });
    await isReady('user');
    await client.delete(Volume, { namespace, name: 'scratch' });
    await eventually(async () => {
      const volume = await client.get(Volume, { namespace, name: 'scratch' });
      expect(conditionOf(volume!, 'Ready')).toMatchObject({ status: 'False', reason: 'DeletionWaitsForTasks' });
    });
    expect(agent.directories).toContain(`${namespace}/scratch`);
    await client.delete(Framework, { namespace, name: 'user' });
    await eventually(async () => expect(await client.get(Volume, { namespace, name: 'scratch' })).toBeUndefined());
    expect(agent.directories).not.toContain(`${namespace}/scratch`);
  });
});

async function isReady(name: string): Promise<void> {
  await eventually(async () => {
    const framework = await frameworkOf(server.client, namespace, name);
    expect(conditionOf(framework, 'Ready')).toMatchObject({ status: 'True' });
    expect(framework.status?.observedGeneration).toBe(framework.metadata.generation);
  });
}
