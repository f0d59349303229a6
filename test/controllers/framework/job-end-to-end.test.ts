import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Framework, Task } from '../../../controllers/machinery/client/resources.ts';
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

describe('a Job', () => {
  test('of indexed tasks succeeds; each index ran once, though the controllers were restarted and ended tasks removed', async () => {
    const { client } = server;
    const job = { completions: 40, parallelism: 8, completionMode: 'Indexed' as const };
    await apply(client, namespace, 'map', { type: 'Job', job, template: template('after 20 0') });
    for (let round = 0; round < 4; round += 1) {
      await delay(120);
      await controllers.stop();
      // History limits, at their worst.
      for (const task of await tasksOf(client, namespace)) {
        if (task.status?.state === 'Finished') await client.delete(Task, { namespace, name: task.metadata.name! });
      }
      controllers = await startControllers(client);
    }
    await eventually(async () => {
      const framework = await frameworkOf(client, namespace, 'map');
      expect(conditionOf(framework, 'Succeeded')).toMatchObject({ status: 'True', reason: 'JobSucceeded' });
      expect(framework.status).toMatchObject({ succeeded: 40, failed: 0, completedIndexes: '0-39' });
    }, 20_000);
    const started = agent.started.filter((name) => name.startsWith('map-'));
    expect(started).toHaveLength(40);
    expect(new Set(started).size).toBe(40);
    await eventually(async () => {
      const tasks = await tasksOf(client, namespace);
      expect(tasks.filter((task) => task.metadata.finalizers?.includes('tepui.dev/job-accounting'))).toEqual([]);
    });
    await eventually(async () => {
      expect((await eventsOf(client, namespace)).map(({ reason }) => reason)).toContain('JobSucceeded');
    });
    await client.delete(Framework, { namespace, name: 'map' });
    await eventually(async () => expect(await tasksOf(client, namespace)).toEqual([]));
  });

  test('whose tasks fail gives up after backoffLimit and says why', async () => {
    const { client } = server;
    await apply(client, namespace, 'failing', {
      type: 'Job',
      job: { completions: 2, parallelism: 2, backoffLimit: 3 },
      backoff: { initialSeconds: 0.01, factor: 1, maxSeconds: 1 },
      template: template('exit 7'),
    });
    await eventually(async () => {
      const framework = await frameworkOf(client, namespace, 'failing');
      expect(conditionOf(framework, 'Failed')).toMatchObject({
        status: 'True',
        reason: 'BackoffLimitExceeded',
        message: expect.stringContaining('exit code 7'),
      });
      expect(framework.status?.failed).toBeGreaterThanOrEqual(4);
    });
    // Each that was started was counted, also those that failed while they were being called off.
    await eventually(async () => {
      const { status } = await frameworkOf(client, namespace, 'failing');
      expect(status?.failed).toBe(agent.started.filter((name) => name.startsWith('failing-')).length);
    });
    await client.delete(Framework, { namespace, name: 'failing' });
    await eventually(async () => expect(await tasksOf(client, namespace)).toEqual([]));
  });

  test('removes itself, with its tasks, after its time to live', async () => {
    const { client } = server;
    const job = { completions: 1, ttlSecondsAfterFinished: 1 };
    await apply(client, namespace, 'short', { type: 'Job', job, template: template('exit 0') });
    await eventually(async () => {
      expect(conditionOf(await frameworkOf(client, namespace, 'short'), 'Succeeded')?.status).toBe('True');
    });
    await eventually(async () => {
      expect(await client.get(Framework, { namespace, name: 'short' })).toBeUndefined();
      expect(await tasksOf(client, namespace)).toEqual([]);
    });
  });

  test('that is deleted while it runs takes its tasks with it, and one of the same name starts afresh', async () => {
    const { client } = server;
    const spec = { type: 'Job' as const, job: { completions: 2, parallelism: 2 }, template: template('sleep') };
    await apply(client, namespace, 'again', spec);
    await eventually(async () => {
      expect((await tasksOf(client, namespace)).filter((task) => task.status?.state === 'Running')).toHaveLength(2);
    });
    await client.delete(Framework, { namespace, name: 'again' });
    await apply(client, namespace, 'again', { ...spec, template: template('exit 0') });
    await eventually(async () => {
      expect(conditionOf(await frameworkOf(client, namespace, 'again'), 'Succeeded')?.status).toBe('True');
    });
    await client.delete(Framework, { namespace, name: 'again' });
    await eventually(async () => expect(await tasksOf(client, namespace)).toEqual([]));
  });
});
