import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { configMap, startTestServer, type TestServer } from '../server-fixture.ts';

let api: TestServer;
const path = '/api/v1/namespaces/paged/configmaps';

beforeAll(async () => {
  api = await startTestServer({ history: { maxEntries: 60 } });
  await api.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'paged' } });
  for (let i = 0; i < 25; i++) {
    await api.call(
      'POST',
      path,
      configMap(`c${String(i).padStart(2, '0')}`, {}, { labels: { half: i % 2 ? 'odd' : 'even' } }),
    );
  }
});

afterAll(() => api.close());

const names = (body: { items: { metadata: { name: string } }[] }) => body.items.map((item) => item.metadata.name);

describe('a paged list', () => {
  test('shows the state of its first page to the end, whatever changes meanwhile', async () => {
    const first = await api.call('GET', `${path}?limit=10`);
    expect(names(first.body)).toHaveLength(10);
    expect(first.body.metadata.remainingItemCount).toBe(15);
    await api.call('DELETE', `${path}/c15`);
    await api.call('POST', path, configMap('c15a'));
    await api.call('PUT', `${path}/c16`, configMap('c16', { changed: 'yes' }));
    const seen = names(first.body);
    let next = first.body.metadata.continue;
    while (next) {
      const { body } = await api.call('GET', `${path}?limit=10&continue=${next}`);
      expect(body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
      expect(body.items.every((item: { data?: object }) => !('changed' in (item.data ?? {})))).toBe(true);
      seen.push(...names(body));
      next = body.metadata.continue;
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `c${String(i).padStart(2, '0')}`));
  });

  test('fills its pages with what is selected', async () => {
    const { body } = await api.call('GET', `${path}?limit=5&labelSelector=half=odd`);
    expect(names(body)).toEqual(['c01', 'c03', 'c05', 'c07', 'c09']);
    expect(body.metadata.remainingItemCount).toBeUndefined();
  });

  test('is Expired when its state is compacted away', async () => {
    const first = await api.call('GET', `${path}?limit=2`);
    for (let i = 0; i < 130; i++) await api.call('PUT', `${path}/c00`, configMap('c00', { i: String(i) }));
    const { status, body } = await api.call('GET', `${path}?limit=2&continue=${first.body.metadata.continue}`);
    expect([status, body.reason]).toEqual([410, 'Expired']);
  });

  test('refuses a token it has not given', async () => {
    expect((await api.call('GET', `${path}?limit=2&continue=nonsense`)).status).toBe(400);
  });
});

describe('a list of a revision', () => {
  test('is exactly that state, or at least as new', async () => {
    const { body: before } = await api.call('GET', path);
    const { resourceVersion } = before.metadata;
    await api.call('POST', path, configMap('newer'));
    const exact = await api.call('GET', `${path}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`);
    expect(names(exact.body)).toEqual(names(before));
    const fresh = await api.call('GET', `${path}?resourceVersion=${resourceVersion}&resourceVersionMatch=NotOlderThan`);
    expect(names(fresh.body)).toContain('newer');
    expect(names((await api.call('GET', `${path}?resourceVersion=0`)).body)).toContain('newer');
  });

  test('from the future is a time-out that says so, nonsense is 400', async () => {
    const future = await api.call('GET', `${path}?resourceVersion=99999999`);
    expect(future.body).toMatchObject({
      code: 504,
      reason: 'Timeout',
      details: { causes: [{ reason: 'ResourceVersionTooLarge' }] },
    });
    expect((await api.call('GET', `${path}?resourceVersion=abc`)).status).toBe(400);
    expect((await api.call('GET', `${path}?resourceVersionMatch=Exact`)).status).toBe(400);
    expect((await api.call('GET', `${path}?limit=-1`)).status).toBe(400);
  });
});

describe('a list over all namespaces', () => {
  test('is sorted by namespace and name, and selects by field', async () => {
    const all = await api.call('GET', '/api/v1/configmaps?fieldSelector=metadata.namespace=paged,metadata.name=c03');
    expect(names(all.body)).toEqual(['c03']);
    expect(all.body.kind).toBe('ConfigMapList');
    expect((await api.call('GET', '/api/v1/configmaps?fieldSelector=data.x=1')).status).toBe(400);
    expect((await api.call('GET', '/api/v1/configmaps?labelSelector=(')).status).toBe(400);
  });
});
