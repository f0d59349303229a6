import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createRegistry } from '../../../apiserver/registry/registry.ts';
import type { KubernetesObject, ResourceDefinition } from '../../../apiserver/resources/definition.ts';
import { createObjectStorage } from '../../../apiserver/resources/object-storage.ts';
import type { ObjectStorage } from '../../../apiserver/resources/storage.ts';
import { openStore, type Store } from '../../../apiserver/store/store.ts';
import { configMap, configMaps, startTestServer } from '../server-fixture.ts';

let directory: string;
let store: Store;
let storage: ObjectStorage;
let definition: ResourceDefinition;
let namespaces: ResourceDefinition;

async function open(maxPages = 0): Promise<void> {
  store = await openStore({ path: join(directory, 'store.db'), maxPages });
  const registry = createRegistry();
  storage = createObjectStorage({ store, registry, now: () => new Date() });
  definition = registry.find('', 'v1', 'configmaps')!;
  namespaces = registry.find('', 'v1', 'namespaces')!;
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } };
  await storage.create(namespaces, namespace as KubernetesObject);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-heads-'));
});

afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true, force: true });
});

const ref = { namespace: 'default', name: 'a' };
const map = (data: Record<string, string>, metadata: object = {}) =>
  configMap('a', data, { namespace: 'default', ...metadata }) as KubernetesObject;
/** What a reader sees at the moment at which the answer comes. */
const seenBy = async (answer: Promise<unknown>): Promise<{ code: unknown; seen: KubernetesObject | undefined }> => {
  const code = await answer.then(
    () => 'ok',
    (error: { code: string }) => error.code,
  );
  return { code, seen: storage.get(definition, ref) };
};

describe('an answer that was judged by a version on its way to disk comes when readers see that version', () => {
  test('Conflict', async () => {
    await open();
    const { resourceVersion } = (await storage.create(definition, map({ n: '0' }))).metadata;
    const winner = storage.update(definition, map({ n: '1' }, { resourceVersion }));
    const { code, seen } = await seenBy(storage.update(definition, map({ n: '2' }, { resourceVersion })));
    expect(code).toBe('Conflict');
    expect(seen).toMatchObject({ data: { n: '1' } });
    await winner;
  });

  test('AlreadyExists', async () => {
    await open();
    const winner = storage.create(definition, map({ n: '1' }));
    const { code, seen } = await seenBy(storage.create(definition, map({ n: '2' })));
    expect(code).toBe('AlreadyExists');
    expect(seen).toMatchObject({ data: { n: '1' } });
    await winner;
  });

  test('NotFound after a deletion, of the object and of its namespace', async () => {
    await open();
    await storage.create(definition, map({}));
    const deletion = storage.delete(definition, ref);
    const { code, seen } = await seenBy(storage.update(definition, map({ n: '1' })));
    expect(code).toBe('NotFound');
    expect(seen).toBeUndefined();
    await deletion;

    const other = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } } as KubernetesObject;
    await storage.create(namespaces, other);
    const ending = storage.delete(namespaces, { name: 'other' });
    const late = storage.create(definition, { ...map({}), metadata: { name: 'a', namespace: 'other' } });
    await expect(late).rejects.toMatchObject({ code: 'Forbidden' });
    expect(storage.get(namespaces, { name: 'other' })?.metadata.deletionTimestamp).toBeDefined();
    await ending;
  });

  test('and success, when the update finds nothing to change', async () => {
    await open();
    await storage.create(definition, map({ n: '0' }));
    const first = storage.update(definition, map({ n: '1' }));
    expect((await seenBy(storage.update(definition, map({ n: '1' })))).seen).toMatchObject({ data: { n: '1' } });
    await first;
  });

  test('and is the failure of that version, if it cannot be written', async () => {
    await open(20);
    const winner = storage.create(definition, map({ text: 'x'.repeat(200_000) }));
    const loser = storage.create(definition, map({ n: '2' }));
    const results = await Promise.allSettled([winner, loser]);
    for (const result of results) expect(result).toMatchObject({ status: 'rejected', reason: { code: 'StorageFull' } });
    expect(await storage.create(definition, map({ n: '2' }))).toMatchObject({ data: { n: '2' } });
  });
});

test('clients that read, change and retry at once see something new after each conflict', async () => {
  await open();
  const api = await startTestServer();
  const clients = 12;
  const rounds = 8;
  const path = `${configMaps}/counter`;
  await api.call('POST', configMaps, configMap('counter', { n: '0' }));
  let conflicts = 0;
  const increment = async () => {
    let refused = '';
    for (;;) {
      const { body } = await api.call('GET', path);
      const { resourceVersion } = body.metadata;
      expect(resourceVersion).not.toBe(refused);
      const { status } = await api.call('PUT', path, { ...body, data: { n: String(Number(body.data.n) + 1) } });
      if (status === 200) return;
      expect(status).toBe(409);
      conflicts += 1;
      refused = resourceVersion;
    }
  };
  const client = async () => {
    for (let round = 0; round < rounds; round++) await increment();
  };
  await Promise.all(Array.from({ length: clients }, client));
  expect((await api.call('GET', path)).body.data.n).toBe(String(clients * rounds));
  // Each write refuses each other client once at most.
  expect(conflicts).toBeLessThanOrEqual(clients * rounds * (clients - 1));
  await api.close();
}, 60_000);
