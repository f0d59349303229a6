import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ConfigMap } from '../../../../controllers/machinery/client/resources.ts';
import { createInformer } from '../../../../controllers/machinery/store/informer.ts';
import { eventually } from '../eventually.ts';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  await server.stop();
});

const key = (name: string) => ({ namespace: 'default', name });

/** Runs an informer of ConfigMaps of one label and records what it tells. */
function follow(label: string) {
  const informer = createInformer({
    client: server.client,
    resource: ConfigMap,
    namespace: 'default',
    labelSelector: `test=${label}`,
  });
  const changes: string[] = [];
  informer.onChange(({ key, old, new: next }) => changes.push(`${old ? (next ? '~' : '-') : '+'}${key.name}`));
  const abort = new AbortController();
  const running = informer.start(abort.signal);
  return {
    informer,
    changes,
    async stop() {
      abort.abort();
      await running;
    },
  };
}

const make = (name: string, label: string) =>
  server.client.create(ConfigMap, { metadata: { ...key(name), labels: { test: label } } });

test('an informer has what was there, follows what comes, and forgets what goes', async () => {
  await make('before', 'one');
  const { informer, changes, stop } = follow('one');
  expect(informer.synced).toBe(false);
  await informer.whenSynced();
  expect(informer.store.get(key('before'))).toBeTruthy();
  await make('after', 'one');
  await make('foreign', 'another');
  await server.client.mergePatch(ConfigMap, key('after'), { data: { x: '1' } });
  await eventually(() => expect(informer.store.get(key('after'))?.data).toEqual({ x: '1' }));
  await server.client.delete(ConfigMap, key('before'));
  await eventually(() => expect(changes).toEqual(['+before', '+after', '~after', '-before']));
  await stop();
});

test('an object that leaves the selection is a deletion', async () => {
  await make('leaver', 'two');
  const { informer, changes, stop } = follow('two');
  await informer.whenSynced();
  await server.client.mergePatch(ConfigMap, key('leaver'), { metadata: { labels: { test: 'elsewhere' } } });
  await eventually(() => expect(changes).toEqual(['+leaver', '-leaver']));
  expect(informer.store.size).toBe(0);
  await stop();
});

test('a listener that comes late is told what is there', async () => {
  await make('there', 'three');
  const { informer, stop } = follow('three');
  await informer.whenSynced();
  const late: string[] = [];
  informer.onChange((change) => late.push(change.key.name));
  expect(late).toEqual(['there']);
  await stop();
});

test('a listener that throws does not stop the others', async () => {
  const { informer, changes, stop } = follow('four');
  await informer.whenSynced();
  informer.onChange(() => {
    throw new Error('broken listener');
  });
  await make('a', 'four');
  await make('b', 'four');
  await eventually(() => expect(changes).toEqual(['+a', '+b']));
  await stop();
});

test('after a restart of the server it goes on, and shows what happened', async () => {
  const { informer, changes, stop } = follow('five');
  await make('survivor', 'five');
  await eventually(() => expect(changes).toEqual(['+survivor']));
  let failures = 0;
  informer.onFailure(() => {
    failures += 1;
  });
  await server.restart();
  await eventually(() => make('newcomer', 'five'));
  await eventually(() => expect(changes).toEqual(['+survivor', '+newcomer']));
  expect(informer.store.size).toBe(2);
  await stop();
  expect(failures).toBeLessThan(20);
});

test('waiting for an informer can be given up', async () => {
  const informer = createInformer({ client: server.client, resource: ConfigMap });
  const reason = new Error('enough');
  await expect(informer.whenSynced(AbortSignal.abort(reason))).rejects.toBe(reason);
});
