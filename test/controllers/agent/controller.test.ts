import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { registerAgentController } from '../../../controllers/agent/controller.ts';
import type { AgentControllerOptions } from '../../../controllers/agent/options.ts';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { Agent, Event, Lease, Task } from '../../../controllers/machinery/client/resources.ts';
import { silentLogger } from '../../../controllers/machinery/logger.ts';
import { Manager } from '../../../controllers/machinery/manager/manager.ts';
import { TASK_CLEANUP_FINALIZER } from '../../../controllers/task/states.ts';
import type { TaskState } from '../../../crds/types.generated.ts';
import { eventually } from '../machinery/eventually.ts';
import { startTestServer, type TestServer } from '../machinery/test-server.ts';

const LEASES = 'tepui-agent-leases';
let server: TestServer;
let client: ApiClient;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startTestServer();
  client = server.client;
});

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

afterAll(async () => {
  await server.stop();
});

async function startController(options: AgentControllerOptions = {}) {
  const manager = new Manager({ client, logger: silentLogger });
  registerAgentController(manager, { allocatedEveryMs: 50, ...options });
  const abort = new AbortController();
  const running = manager.run(abort.signal);
  stops.push(async () => {
    abort.abort();
    await running;
  });
  await manager.ready;
}

let beats = 0;

/** An agent as far as its documents go: it renews its lease every 200 ms until it falls silent. */
async function startAgent(name: string) {
  await client.create(Agent, { metadata: { name }, spec: {} });
  const condition = (type: string) => ({
    type,
    status: 'True' as const,
    reason: 'AgentRegistered',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  });
  const register = () =>
    client.mergePatch(
      Agent,
      { name },
      { status: { conditions: [condition('Ready'), condition('Reachable')] } },
      'status',
    );
  await register();
  // The agent's clock is years behind, which must not matter.
  const spec = () => ({
    holderIdentity: name,
    leaseDurationSeconds: 1,
    renewTime: new Date(1e9 + ++beats).toISOString().replace('Z', '000Z'),
  });
  await client.create(Lease, { metadata: { namespace: LEASES, name }, spec: spec() });
  const renew = () => client.mergePatch(Lease, { namespace: LEASES, name }, { spec: spec() }).catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const agent = {
    beat() {
      timer = setInterval(renew, 200);
    },
    silence() {
      clearInterval(timer);
    },
    register,
    renew,
  };
  agent.beat();
  stops.push(async () => agent.silence());
  return agent;
}

async function makeTask(name: string, agentName: string, state?: TaskState) {
  const key = { namespace: 'default', name };
  await client.create(Task, {
    metadata: { ...key, finalizers: [TASK_CLEANUP_FINALIZER] },
    spec: {
      binding: { agentName },
      containers: [{ name: 'main', command: ['true'], resources: { requests: { cpus: '250m', mem: '32Mi' } } }],
    },
  });
  if (state) await client.mergePatch(Task, key, { status: { state } }, 'status');
}

const readTask = (name: string) => client.get(Task, { namespace: 'default', name });
const readAgent = async (name: string) => (await client.get(Agent, { name }))!;
const conditionOf = async (name: string, type: string) =>
  (await readAgent(name)).status?.conditions?.find((condition) => condition.type === type)?.status;

test('an agent that renews its lease is left alone, however wrong its clock, and shows what its tasks hold', async () => {
  await startAgent('alive');
  await makeTask('a1', 'alive', 'Running');
  await startController();
  await eventually(async () =>
    expect((await readAgent('alive')).status).toMatchObject({ allocated: { cpus: '250m', mem: '32Mi' }, tasks: 1 }),
  );
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect(await conditionOf('alive', 'Ready')).toBe('True');
  expect((await readTask('a1'))?.status?.state).toBe('Running');
  await client.mergePatch(Task, { namespace: 'default', name: 'a1' }, { status: { state: 'Finished' } }, 'status');
  await eventually(async () =>
    expect((await readAgent('alive')).status).toMatchObject({ allocated: { cpus: '0', mem: '0' }, tasks: 0 }),
  );
});

test('an agent that falls silent is given up with its tasks, and returns', async () => {
  const agent = await startAgent('silent');
  await makeTask('s1', 'silent', 'Running');
  await makeTask('s2', 'silent');
  await makeTask('s3', 'silent', 'Finished');
  await startController();
  agent.silence();
  await eventually(async () =>
    expect((await readTask('s1'))?.status).toMatchObject({
      state: 'Unreachable',
      reason: 'AgentRemoved',
      source: 'Controller',
      unreachableTime: expect.any(String),
    }),
  );
  await eventually(async () => expect((await readTask('s2'))?.status?.state).toBe('Unreachable'));
  expect((await readTask('s3'))?.status?.state).toBe('Finished');
  await eventually(async () =>
    expect([await conditionOf('silent', 'Ready'), await conditionOf('silent', 'Reachable')]).toEqual([
      'Unknown',
      'False',
    ]),
  );
  await eventually(async () => {
    const { items } = await client.list(Event, { namespace: 'default' });
    expect(
      items.filter(({ reason, regarding }) => reason === 'AgentUnreachable' && regarding?.name === 'silent'),
    ).toMatchObject([{ regarding: { kind: 'Agent' } }]);
  });
  // As the agent does it: first the lease, then the document.
  await agent.renew();
  agent.beat();
  await agent.register();
  await eventually(async () => expect((await readAgent('silent')).status?.unreachableTime).toBeUndefined());
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect([await conditionOf('silent', 'Ready'), await conditionOf('silent', 'Reachable')]).toEqual(['True', 'True']);
});

test('a controller that has just started gives an old lease its full time', async () => {
  const agent = await startAgent('grace');
  agent.silence();
  await makeTask('g1', 'grace', 'Running');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await startController();
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect((await readTask('g1'))?.status?.state).toBe('Running');
  await eventually(async () => expect((await readTask('g1'))?.status?.state).toBe('Unreachable'));
});

test('an outage of the API server is not held against the agents', async () => {
  await startAgent('outage');
  await makeTask('o1', 'outage', 'Running');
  await startController();
  await new Promise((resolve) => setTimeout(resolve, 500));
  await server.restart();
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect((await readTask('o1'))?.status?.state).toBe('Running');
  expect(await conditionOf('outage', 'Reachable')).toBe('True');
});

test('not all agents are given up at once', async () => {
  const names = ['many-1', 'many-2', 'many-3'];
  for (const name of names) (await startAgent(name)).silence();
  await startController({ removalBurst: 1, removalsPerSecond: 0.5 });
  const lost = async () =>
    (await Promise.all(names.map((name) => conditionOf(name, 'Reachable')))).filter((status) => status === 'False')
      .length;
  await eventually(async () => expect(await lost()).toBe(1));
  await new Promise((resolve) => setTimeout(resolve, 800));
  expect(await lost()).toBe(1);
  await eventually(async () => expect(await lost()).toBe(3));
});

test('marking an agent gone ends its tasks and lets deletions through', async () => {
  await startAgent('gone');
  await makeTask('d1', 'gone', 'Running');
  await makeTask('d2', 'gone', 'Running');
  await client.delete(Task, { namespace: 'default', name: 'd2' });
  await startController();
  await client.mergePatch(Agent, { name: 'gone' }, { spec: { gone: true } });
  await eventually(async () =>
    expect((await readTask('d1'))?.status).toMatchObject({ state: 'GoneByOperator', reason: 'AgentRemovedByOperator' }),
  );
  await eventually(async () => expect(await readTask('d2')).toBeUndefined());
  await eventually(async () => expect(await conditionOf('gone', 'Ready')).toBe('False'));
  await client.delete(Task, { namespace: 'default', name: 'd1' });
  await eventually(async () => expect(await readTask('d1')).toBeUndefined());
});

test('tasks of a deleted agent are Gone once it is silent, and its lease goes too', async () => {
  const agent = await startAgent('deleted');
  await makeTask('x1', 'deleted', 'Running');
  await startController();
  await client.delete(Agent, { name: 'deleted' });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect((await readTask('x1'))?.status?.state).toBe('Running');
  agent.silence();
  await eventually(async () =>
    expect((await readTask('x1'))?.status).toMatchObject({ state: 'Gone', reason: 'AgentRemoved' }),
  );
  await eventually(async () => expect(await client.get(Lease, { namespace: LEASES, name: 'deleted' })).toBeUndefined());
});
