/** The way into the server for clients of the same process: the real client on the real server, without a socket. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApiClient } from '../../../controllers/machinery/client/api-client.ts';
import type { ApiClient, WatchEvent } from '../../../controllers/machinery/client/client.ts';
import { ConfigMap, type ConfigMapDocument } from '../../../controllers/machinery/client/resources.ts';
import { configMap, startTestServer, type TestServer } from '../server-fixture.ts';

type Event = WatchEvent<ConfigMapDocument>;

let api: TestServer;
let client: ApiClient;
const namespace = 'default';

const clientOf = (token = api.token): ApiClient =>
  createApiClient({ server: api.server.url, credentials: { token }, sender: api.server.loopback });

beforeAll(async () => {
  api = await startTestServer();
  client = clientOf();
});

afterAll(() => api.close());

const object = (name: string, data: Record<string, string> = {}) =>
  configMap(name, data, { namespace }) as ConfigMapDocument;

async function collect(events: AsyncIterable<Event>, count: number): Promise<Event[]> {
  const seen: Event[] = [];
  for await (const event of events) {
    seen.push(event);
    if (seen.length === count) break;
  }
  return seen;
}

test('objects are written and read as over a socket', async () => {
  const created = await client.create(ConfigMap, object('plain', { a: '1' }));
  expect(created.metadata?.resourceVersion).toMatch(/^\d+$/);
  expect((await api.call('GET', '/api/v1/namespaces/default/configmaps/plain')).body).toEqual(
    await client.get(ConfigMap, { namespace, name: 'plain' }),
  );
  const patched = await client.mergePatch(ConfigMap, { namespace, name: 'plain' }, { data: { b: '2' } });
  expect(patched).toMatchObject({ data: { a: '1', b: '2' } });
  expect((await client.list(ConfigMap, { namespace })).items.map(({ metadata }) => metadata?.name)).toContain('plain');
  expect(await client.delete(ConfigMap, { namespace, name: 'plain' })).toBe(true);
  expect(await client.get(ConfigMap, { namespace, name: 'plain' })).toBeUndefined();
});

test('nobody holds an object of the store: what a caller changes in an answer stays with him', async () => {
  const created = await client.create(ConfigMap, object('own', { a: '1' }));
  created.data!.a = 'changed';
  expect(await client.get(ConfigMap, { namespace, name: 'own' })).toMatchObject({ data: { a: '1' } });
});

test('a wrong token, bad input and a body that is too large are refused with the same Status', async () => {
  await expect(clientOf('wrong').list(ConfigMap, { namespace })).rejects.toMatchObject({ code: 401 });
  await expect(client.create(ConfigMap, object('Not_A_Name'))).rejects.toMatchObject({ code: 422 });
  await expect(client.create(ConfigMap, object('large', { a: 'x'.repeat(3 * 1024 * 1024) }))).rejects.toMatchObject({
    code: 413,
  });
});

test('a watch tells of changes from anywhere in order, and ends when its caller wants no more', async () => {
  const { metadata } = await client.list(ConfigMap, { namespace });
  const stop = new AbortController();
  const events = client.watch(ConfigMap, {
    namespace,
    resourceVersion: metadata.resourceVersion!,
    signal: stop.signal,
  });
  const seen = collect(events, 3);
  await api.call('POST', '/api/v1/namespaces/default/configmaps', configMap('watched'));
  await client.mergePatch(ConfigMap, { namespace, name: 'watched' }, { data: { a: 'é' } });
  await client.delete(ConfigMap, { namespace, name: 'watched' });
  expect((await seen).map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
  expect((await api.call('GET', '/metrics')).text).toMatch(/^apiserver_longrunning_requests 0$/m);
});

test('a watch from a revision of another store ends with 410, as an event', async () => {
  const events = client.watch(ConfigMap, {
    namespace,
    resourceVersion: '999999999',
    signal: new AbortController().signal,
  });
  await expect(collect(events, 1)).resolves.toMatchObject([{ type: 'ERROR', object: { code: 410 } }]);
});

test('a watcher that is slow to take many events gets all of them', async () => {
  const { metadata } = await client.list(ConfigMap, { namespace });
  const events = client.watch(ConfigMap, {
    namespace,
    resourceVersion: metadata.resourceVersion!,
    signal: new AbortController().signal,
  });
  const iterator = events[Symbol.asyncIterator]();
  const first = iterator.next();
  const count = 600;
  await Promise.all(Array.from({ length: count }, (_, index) => client.create(ConfigMap, object(`many-${index}`))));
  const names = new Set([(await first).value.object.metadata.name]);
  while (names.size < count) names.add((await iterator.next()).value.object.metadata.name);
  expect(names.size).toBe(count);
  await iterator.return?.();
});

test('closing the server ends watches and refuses requests', async () => {
  const own = await startTestServer();
  const inside = createApiClient({
    server: own.server.url,
    credentials: { token: own.token },
    sender: own.server.loopback,
  });
  const { metadata } = await inside.list(ConfigMap, { namespace });
  const events = inside.watch(ConfigMap, {
    namespace,
    resourceVersion: metadata.resourceVersion!,
    signal: new AbortController().signal,
  });
  const iterator = events[Symbol.asyncIterator]();
  const first = iterator.next();
  await inside.create(ConfigMap, object('first'));
  expect((await first).value).toMatchObject({ type: 'ADDED' });
  const writes = Array.from({ length: 20 }, (_, index) =>
    inside.create(ConfigMap, object(`last-${index}`)).then(
      () => 'written',
      (error: { code?: number }) => error.code,
    ),
  );
  await own.close();
  // Each was either acknowledged or refused; none hangs.
  for (const outcome of await Promise.all(writes)) expect(['written', 503]).toContain(outcome);
  let last = await iterator.next();
  while (!last.done) last = await iterator.next();
  await expect(inside.list(ConfigMap, { namespace })).rejects.toMatchObject({ code: 503 });
});
