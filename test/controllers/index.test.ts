import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createControllers } from '../../controllers/index.ts';
import { Agent, Framework, Lease, Task } from '../../controllers/machinery/client/resources.ts';
import { silentLogger } from '../../controllers/machinery/logger.ts';
import { eventually } from './machinery/eventually.ts';
import { startTestServer, type TestServer } from './machinery/test-server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  await server.stop();
});

test('all controllers together turn a framework into tasks that are bound to an agent, and take them away again', async () => {
  const { client } = server;
  const manager = createControllers({
    client,
    logger: silentLogger,
    metricsAddress: '127.0.0.1:0',
    leaderElect: true,
    leaderElectionNamespace: 'default',
  });
  const abort = new AbortController();
  const running = manager.run(abort.signal);
  await manager.ready;

  await client.create(Agent, { metadata: { name: 'node' }, spec: {} });
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  const conditions = ['Ready', 'Reachable'].map((type) => ({
    type,
    status: 'True' as const,
    reason: 'AgentRegistered',
    message: '',
    lastTransitionTime,
  }));
  const allocatable = { cpus: 4, mem: '1Gi', disk: '1Gi', ports: '31000-32000' };
  await client.mergePatch(
    Agent,
    { name: 'node' },
    { status: { agentId: 'id', conditions, allocatable, capacity: allocatable } },
    'status',
  );
  await client.create(Framework, {
    metadata: { namespace: 'default', name: 'web' },
    spec: {
      type: 'Service',
      replicas: 2,
      template: { spec: { containers: [{ name: 'main', command: ['sleep', '1'] }] } },
    },
  });
  await eventually(async () => {
    const { items } = await client.list(Task, { namespace: 'default' });
    expect(items.map(({ spec }) => spec.binding?.agentName)).toEqual(['node', 'node']);
  });
  await eventually(async () =>
    expect((await client.get(Agent, { name: 'node' }))?.status).toMatchObject({
      tasks: 2,
      allocated: { cpus: '200m', mem: '256Mi' },
    }),
  );
  expect(
    (await client.get(Lease, { namespace: 'default', name: 'tepui-controller' }))?.spec?.holderIdentity,
  ).toBeTruthy();
  expect((await fetch(`${manager.httpAddress}/readyz`)).status).toBe(200);

  // Nothing runs here, so the operator says that the machine is lost: only then may the tasks' documents go.
  await client.delete(Framework, { namespace: 'default', name: 'web' });
  await client.mergePatch(Agent, { name: 'node' }, { spec: { gone: true } });
  await eventually(async () => expect((await client.list(Task, { namespace: 'default' })).items).toEqual([]));
  abort.abort();
  await running;
  expect((await client.get(Lease, { namespace: 'default', name: 'tepui-controller' }))?.spec?.holderIdentity).toBe('');
});

test('an address that is none is refused', () => {
  expect(() => createControllers({ client: server.client, logger: silentLogger, metricsAddress: 'nonsense' })).toThrow(
    'write HOST:PORT',
  );
});
