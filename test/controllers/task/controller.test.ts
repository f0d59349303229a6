import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { Framework, Task, Volume } from '../../../controllers/machinery/client/resources.ts';
import { silentLogger } from '../../../controllers/machinery/logger.ts';
import { Manager } from '../../../controllers/machinery/manager/manager.ts';
import { controllerReference } from '../../../controllers/machinery/owners.ts';
import { registerTaskController } from '../../../controllers/task/controller.ts';
import { registerOwnerGarbageCollector } from '../../../controllers/task/owner-gc.ts';
import { TASK_CLEANUP_FINALIZER } from '../../../controllers/task/states.ts';
import type { Framework as FrameworkDocument, Task as TaskDocument, TaskState } from '../../../crds/types.generated.ts';
import { eventually } from '../machinery/eventually.ts';
import { startTestServer, type TestServer } from '../machinery/test-server.ts';

let server: TestServer;
let client: ApiClient;
const abort = new AbortController();
let running: Promise<void>;

beforeAll(async () => {
  server = await startTestServer();
  client = server.client;
  const manager = new Manager({ client, logger: silentLogger });
  registerTaskController(manager, { standaloneHistory: 3, standaloneTtlMs: 3600_000 });
  registerOwnerGarbageCollector(manager);
  running = manager.run(abort.signal);
  await manager.ready;
});

afterAll(async () => {
  abort.abort();
  await running;
  await server.stop();
});

const containers = [{ name: 'main', command: ['true'] }];
let counter = 0;

async function makeEnded(
  name: string,
  state: TaskState,
  more: Partial<TaskDocument['spec']> = {},
  agoMs = 0,
): Promise<void> {
  const key = { namespace: 'default', name };
  await client.create(Task, { metadata: key, spec: { containers, ...more } });
  // Later ones ended later, however fast they are made.
  const finishTime = new Date(Date.now() - agoMs - 100_000 + ++counter * 1000).toISOString();
  await client.mergePatch(Task, key, { status: { state, finishTime } }, 'status');
}

const framework = (name: string, spec: FrameworkDocument['spec'] = {}) =>
  client.create(Framework, {
    metadata: { namespace: 'default', name },
    spec: { template: { spec: { containers } }, ...spec },
  });
const taskNames = async (prefix: string) =>
  (await client.list(Task, { namespace: 'default' })).items
    .map(({ metadata }) => metadata.name!)
    .filter((name) => name.startsWith(prefix));

test('a framework keeps as many ended tasks as it says, and fewer when it says so later', async () => {
  await framework('limited', { historyLimits: { finished: 2, failed: 1 } });
  for (const name of ['limited-1', 'limited-2', 'limited-3', 'limited-4'])
    await makeEnded(name, 'Finished', { frameworkName: 'limited' });
  for (const name of ['limited-5', 'limited-6']) await makeEnded(name, 'Failed', { frameworkName: 'limited' });
  await eventually(async () => expect(await taskNames('limited-')).toEqual(['limited-3', 'limited-4', 'limited-6']));
  await client.mergePatch(
    Framework,
    { namespace: 'default', name: 'limited' },
    { spec: { historyLimits: { finished: 0 } } },
  );
  await eventually(async () => expect(await taskNames('limited-')).toEqual(['limited-6']));
});

test('tasks without a framework are kept by number and age', async () => {
  await makeEnded('alone-0', 'Finished', {}, 2 * 3600_000);
  for (const name of ['alone-1', 'alone-2', 'alone-3', 'alone-4'])
    await makeEnded(name, name === 'alone-3' ? 'Failed' : 'Finished');
  await eventually(async () => expect(await taskNames('alone-')).toEqual(['alone-2', 'alone-3', 'alone-4']));
});

test('a task that is killed before it was placed is Killed', async () => {
  const key = { namespace: 'default', name: 'early-kill' };
  await client.create(Task, { metadata: key, spec: { containers, desiredState: 'Killed' } });
  await eventually(async () =>
    expect((await client.get(Task, key))?.status).toMatchObject({ state: 'Killed', reason: 'TaskKilledDuringLaunch' }),
  );
});

test('a deleted task that was never bound does not wait for an agent', async () => {
  const key = { namespace: 'default', name: 'unbound' };
  await client.create(Task, { metadata: { ...key, finalizers: [TASK_CLEANUP_FINALIZER] }, spec: { containers } });
  await client.delete(Task, key);
  await eventually(async () => expect(await client.get(Task, key)).toBeUndefined());
});

test('what a framework leaves is deleted, what lives or belongs to others is not', async () => {
  const owner = await framework('owner');
  const reference = controllerReference(Framework, owner);
  const gone = { ...reference, name: 'never-was', uid: 'gone' };
  const replaced = { ...reference, uid: 'an-earlier-one' };
  const make = (name: string, references: (typeof reference)[]) =>
    client.create(Task, {
      metadata: { namespace: 'default', name, ownerReferences: references },
      spec: { containers },
    });
  await make('owned-live', [reference]);
  await make('owned-gone', [gone]);
  await make('owned-replaced', [replaced]);
  await make('owned-loosely', [{ ...gone, controller: false, blockOwnerDeletion: false }]);
  await client.create(Volume, {
    metadata: { namespace: 'default', name: 'owned-volume', ownerReferences: [gone] },
    spec: { size: '1Mi' },
  });
  await eventually(async () =>
    expect((await taskNames('owned-')).filter((name) => name !== 'owned-loosely')).toEqual(['owned-live']),
  );
  await eventually(async () =>
    expect(await client.get(Volume, { namespace: 'default', name: 'owned-volume' })).toBeUndefined(),
  );
  await client.delete(Framework, { namespace: 'default', name: 'owner' });
  await eventually(async () =>
    expect((await taskNames('owned-')).filter((name) => name !== 'owned-loosely')).toEqual([]),
  );
});

test('a framework that waits for its own end lets its tasks go first', async () => {
  const owner = await client.create(Framework, {
    metadata: { namespace: 'default', name: 'waiting', finalizers: ['example.org/hold'] },
    spec: { template: { spec: { containers } } },
  });
  await client.create(Task, {
    metadata: { namespace: 'default', name: 'waiting-1', ownerReferences: [controllerReference(Framework, owner)] },
    spec: { containers },
  });
  await client.delete(Framework, { namespace: 'default', name: 'waiting' });
  await eventually(async () => expect(await taskNames('waiting-')).toEqual([]));
  expect(await client.get(Framework, { namespace: 'default', name: 'waiting' })).toBeTruthy();
});
