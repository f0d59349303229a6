import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { configMap, configMaps, startTestServer, type TestServer } from '../server-fixture.ts';

let api: TestServer;

beforeAll(async () => {
  api = await startTestServer();
});

afterAll(() => api.close());

const merge = { 'content-type': 'application/merge-patch+json' };

describe('delete', () => {
  test('answers with a Status that names the object', async () => {
    const { body: made } = await api.call('POST', configMaps, configMap('gone'));
    const { status, body } = await api.call('DELETE', `${configMaps}/gone`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'gone', kind: 'configmaps', uid: made.metadata.uid },
    });
    expect((await api.call('DELETE', `${configMaps}/gone`)).status).toBe(404);
  });

  test('only marks an object that finalizers hold; removing the last one deletes it', async () => {
    await api.call('POST', configMaps, configMap('held', {}, { finalizers: ['test.tepui.dev/hold'] }));
    const first = await api.call('DELETE', `${configMaps}/held`);
    expect(first.body.metadata).toMatchObject({
      name: 'held',
      deletionTimestamp: expect.any(String),
      deletionGracePeriodSeconds: 0,
    });
    const again = await api.call('DELETE', `${configMaps}/held`);
    expect(again.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
    const more = await api.call(
      'PATCH',
      `${configMaps}/held`,
      { metadata: { finalizers: ['test.tepui.dev/hold', 'test.tepui.dev/new'] } },
      merge,
    );
    expect(more.body.message).toContain('no new finalizers can be added if the object is being deleted');
    const released = await api.call('PATCH', `${configMaps}/held`, { metadata: { finalizers: null } }, merge);
    expect(released.status).toBe(200);
    expect((await api.call('GET', `${configMaps}/held`)).status).toBe(404);
  });

  test('cannot be undone by clearing the timestamp', async () => {
    await api.call('POST', configMaps, configMap('doomed', {}, { finalizers: ['test.tepui.dev/hold'] }));
    await api.call('DELETE', `${configMaps}/doomed`);
    const { body } = await api.call('PATCH', `${configMaps}/doomed`, { metadata: { deletionTimestamp: null } }, merge);
    expect(body.metadata.deletionTimestamp).toEqual(expect.any(String));
  });

  test('holds to its preconditions', async () => {
    const { body: made } = await api.call('POST', configMaps, configMap('exact'));
    const wrong = await api.call('DELETE', `${configMaps}/exact`, { preconditions: { uid: 'other' } });
    expect(wrong.body).toMatchObject({ code: 409, reason: 'Conflict' });
    expect(wrong.body.message).toContain('Precondition failed: UID in precondition: other');
    expect((await api.call('DELETE', `${configMaps}/exact`, { preconditions: { resourceVersion: '1' } })).status).toBe(
      409,
    );
    const { uid, resourceVersion } = made.metadata;
    expect((await api.call('DELETE', `${configMaps}/exact`, { preconditions: { uid, resourceVersion } })).status).toBe(
      200,
    );
  });

  test('as dry run deletes nothing', async () => {
    await api.call('POST', configMaps, configMap('kept'));
    expect((await api.call('DELETE', `${configMaps}/kept?dryRun=All`)).status).toBe(200);
    expect((await api.call('DELETE', `${configMaps}/kept`, { dryRun: ['All'] })).status).toBe(200);
    expect((await api.call('GET', `${configMaps}/kept`)).status).toBe(200);
  });

  test('refuses unknown policies and grace periods', async () => {
    expect((await api.call('DELETE', `${configMaps}/kept?propagationPolicy=Maybe`)).status).toBe(400);
    expect((await api.call('DELETE', `${configMaps}/kept?gracePeriodSeconds=-1`)).status).toBe(400);
  });

  test('deletes dependents in the background, first (Foreground), or leaves them (Orphan)', async () => {
    for (const [policy, stays] of [
      ['Background', false],
      ['Foreground', false],
      ['Orphan', true],
    ] as const) {
      const name = `owner-${policy.toLowerCase()}`;
      const { body: owner } = await api.call('POST', configMaps, configMap(name));
      const reference = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        name,
        uid: owner.metadata.uid,
        blockOwnerDeletion: true,
      };
      await api.call('POST', configMaps, configMap(`${name}-child`, {}, { ownerReferences: [reference] }));
      await api.call('DELETE', `${configMaps}/${name}?propagationPolicy=${policy}`);
      for (let i = 0; i < 100 && (await api.call('GET', `${configMaps}/${name}`)).status !== 404; i++) await pause();
      for (let i = 0; i < 100 && !stays && (await api.call('GET', `${configMaps}/${name}-child`)).status !== 404; i++)
        await pause();
      const child = await api.call('GET', `${configMaps}/${name}-child`);
      expect(`${policy} ${child.status}`).toBe(`${policy} ${stays ? 200 : 404}`);
      if (stays) expect(child.body.metadata.ownerReferences).toBeUndefined();
    }
  });
});

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('deletecollection', () => {
  test('deletes what is selected, in this namespace', async () => {
    for (const [name, label] of [
      ['c1', 'x'],
      ['c2', 'x'],
      ['c3', 'y'],
    ] as const) {
      await api.call('POST', configMaps, configMap(name, {}, { labels: { set: label } }));
    }
    const { status, body } = await api.call('DELETE', `${configMaps}?labelSelector=set=x`);
    expect(status).toBe(200);
    expect(body.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(['c1', 'c2']);
    const left = await api.call('GET', `${configMaps}?labelSelector=set`);
    expect(left.body.items).toHaveLength(1);
  });
});

describe('namespaces', () => {
  const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

  test('are there from the start, and those cannot be deleted', async () => {
    const { body } = await api.call('GET', '/api/v1/namespaces');
    const names = body.items.map((item: { metadata: { name: string } }) => item.metadata.name);
    expect(names).toEqual(['default', 'kube-system', 'tepui-agent-leases', 'tepui-system']);
    expect((await api.call('DELETE', '/api/v1/namespaces/default')).body).toMatchObject({
      code: 403,
      reason: 'Forbidden',
    });
  });

  test('must exist before something is made in them', async () => {
    const { body } = await api.call('POST', '/api/v1/namespaces/nowhere/configmaps', configMap('x'));
    expect(body).toMatchObject({ code: 404, message: 'namespaces "nowhere" not found' });
  });

  test('take no new content when they end, are emptied, and go', async () => {
    await api.call('POST', '/api/v1/namespaces', namespace('ending'));
    const inside = '/api/v1/namespaces/ending/configmaps';
    await api.call('POST', inside, configMap('held', {}, { finalizers: ['test.tepui.dev/hold'] }));
    await api.call('POST', inside, configMap('free'));
    const { body } = await api.call('DELETE', '/api/v1/namespaces/ending');
    expect(body).toMatchObject({ kind: 'Namespace', status: { phase: 'Terminating' } });
    const refused = await api.call('POST', inside, configMap('late'));
    expect(refused.body).toMatchObject({ code: 403, details: { causes: [{ reason: 'NamespaceTerminating' }] } });
    for (let i = 0; i < 100 && (await api.call('GET', `${inside}/free`)).status !== 404; i++) await pause();
    expect((await api.call('GET', '/api/v1/namespaces/ending')).status).toBe(200);
    await api.call('PATCH', `${inside}/held`, { metadata: { finalizers: null } }, merge);
    for (let i = 0; i < 100 && (await api.call('GET', '/api/v1/namespaces/ending')).status !== 404; i++) await pause();
    expect((await api.call('GET', '/api/v1/namespaces/ending')).status).toBe(404);
  });

  test('have names that are DNS labels', async () => {
    expect((await api.call('POST', '/api/v1/namespaces', namespace('a.b'))).status).toBe(422);
  });
});
