import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  configMap,
  configMaps,
  crds,
  type Json,
  startTestServer,
  type TestServer,
  widget,
  widgetCrd,
  widgets,
} from '../server-fixture.ts';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

async function create(name: string, metadata: object = {}): Promise<Json> {
  const { status, body } = await api.call('POST', configMaps, configMap(name, {}, metadata));
  expect(status).toBe(201);
  return body;
}

const ownedBy = (owner: Json, more: object = {}) => ({
  ownerReferences: [
    { apiVersion: 'v1', kind: 'ConfigMap', name: owner.metadata.name, uid: owner.metadata.uid, ...more },
  ],
});

const get = async (name: string) => (await api.call('GET', `${configMaps}/${name}`)).body;
const remove = (name: string, options?: object) => api.call('DELETE', `${configMaps}/${name}`, options);

async function until(path: string, holds: (answer: { status: number; body: Json }) => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const answer = await api.call('GET', path);
    if (holds(answer)) return;
    if (Date.now() > deadline) throw new Error(`${path} stayed: ${answer.text}`);
    await sleep(10);
  }
}

const gone = (name: string) => until(`${configMaps}/${name}`, ({ status }) => status === 404);

describe('an object with owners', () => {
  test('goes after its owner, and takes its own dependents along', async () => {
    const owner = await create('chain-1');
    const middle = await create('chain-2', ownedBy(owner));
    await create('chain-3', ownedBy(middle));
    await remove('chain-1', { propagationPolicy: 'Background' });
    await gone('chain-2');
    await gone('chain-3');
  });

  test('stays while one owner is there, and forgets those that are gone', async () => {
    const [first, second] = [await create('two-1'), await create('two-2')];
    const references = [first, second].flatMap((owner) => ownedBy(owner).ownerReferences);
    await create('two-dependent', { ownerReferences: references });
    await remove('two-1');
    await until(`${configMaps}/two-dependent`, ({ body }) => body.metadata.ownerReferences.length === 1);
    expect((await get('two-dependent')).metadata.ownerReferences[0].name).toBe('two-2');
    await remove('two-2');
    await gone('two-dependent');
  });

  test('is deleted when its owner never was, or is another of the same name', async () => {
    const owner = await create('same-name');
    await create('of-other', { ownerReferences: [{ ...ownedBy(owner).ownerReferences[0], uid: 'another-uid' }] });
    await create('of-nobody', { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'nobody', uid: 'x' }] });
    await gone('of-other');
    await gone('of-nobody');
    expect((await api.call('GET', `${configMaps}/same-name`)).status).toBe(200);
  });

  test('of a kind that nobody knows is kept: the kind may come back', async () => {
    await create('of-unknown', {
      ownerReferences: [{ apiVersion: 'no.such.group/v1', kind: 'Thing', name: 'x', uid: 'x' }],
    });
    await sleep(100);
    expect((await get('of-unknown')).metadata.name).toBe('of-unknown');
  });

  test('is released, not deleted, when its owner is deleted with Orphan', async () => {
    const owner = await create('orphaning');
    await create('orphan', ownedBy(owner));
    await remove('orphaning', { propagationPolicy: 'Orphan' });
    await gone('orphaning');
    expect((await get('orphan')).metadata.ownerReferences ?? []).toEqual([]);
  });
});

describe('foreground deletion', () => {
  test('waits for dependents that block, and only for these', async () => {
    const owner = await create('front');
    await create('blocking', { ...ownedBy(owner, { blockOwnerDeletion: true }), finalizers: ['test.tepui.dev/hold'] });
    await create('free', { ...ownedBy(owner), finalizers: ['test.tepui.dev/hold'] });
    const { body } = await remove('front', { propagationPolicy: 'Foreground' });
    expect(body.metadata.finalizers).toEqual(['foregroundDeletion']);
    await until(`${configMaps}/blocking`, ({ body: dependent }) => dependent.metadata.deletionTimestamp !== undefined);
    await until(`${configMaps}/free`, ({ body: dependent }) => dependent.metadata.deletionTimestamp !== undefined);
    expect((await get('front')).metadata.deletionTimestamp).toBeDefined();
    const release = [{ op: 'remove', path: '/metadata/finalizers' }];
    await api.call('PATCH', `${configMaps}/blocking`, release, { 'content-type': 'application/json-patch+json' });
    await gone('blocking');
    await gone('front');
    expect((await api.call('GET', `${configMaps}/free`)).status).toBe(200);
    await api.call('PATCH', `${configMaps}/free`, release, { 'content-type': 'application/json-patch+json' });
    await gone('free');
  });

  test('waits through several levels', async () => {
    const block = { blockOwnerDeletion: true };
    const top = await create('level-1');
    const middle = await create('level-2', ownedBy(top, block));
    await create('level-3', { ...ownedBy(middle, block), finalizers: ['test.tepui.dev/hold'] });
    await remove('level-1', { propagationPolicy: 'Foreground' });
    await until(`${configMaps}/level-3`, ({ body }) => body.metadata.deletionTimestamp !== undefined);
    expect((await get('level-1')).metadata.deletionTimestamp).toBeDefined();
    expect((await get('level-2')).metadata.finalizers).toEqual(['foregroundDeletion']);
    const release = [{ op: 'remove', path: '/metadata/finalizers' }];
    await api.call('PATCH', `${configMaps}/level-3`, release, { 'content-type': 'application/json-patch+json' });
    await gone('level-1');
  });

  test('ends when a dependent stops depending', async () => {
    const owner = await create('left');
    await create('leaving', { ...ownedBy(owner, { blockOwnerDeletion: true }), finalizers: ['test.tepui.dev/hold'] });
    await remove('left', { propagationPolicy: 'Foreground' });
    await until(`${configMaps}/leaving`, ({ body }) => body.metadata.deletionTimestamp !== undefined);
    const leave = [{ op: 'remove', path: '/metadata/ownerReferences' }];
    await api.call('PATCH', `${configMaps}/leaving`, leave, { 'content-type': 'application/json-patch+json' });
    await gone('left');
  });

  test('of an object without dependents is immediate', async () => {
    await create('lonely');
    await remove('lonely', { propagationPolicy: 'Foreground' });
    await gone('lonely');
  });
});

describe('a namespace', () => {
  test('takes its contents along, says what holds it up, and goes when it is empty', async () => {
    const namespaces = '/api/v1/namespaces';
    await api.call('POST', namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
    const inside = `${namespaces}/shop/configmaps`;
    await api.call('POST', inside, configMap('plain'));
    await api.call('POST', inside, configMap('held', {}, { finalizers: ['test.tepui.dev/hold'] }));
    await api.call('DELETE', `${namespaces}/shop`);
    await until(`${inside}/plain`, ({ status }) => status === 404);
    await until(`${namespaces}/shop`, ({ body }) => body.status.conditions?.length === 2);
    const { body } = await api.call('GET', `${namespaces}/shop`);
    expect(body.status.phase).toBe('Terminating');
    expect(body.status.conditions).toMatchObject([
      {
        type: 'NamespaceContentRemaining',
        status: 'True',
        message: 'Some resources are remaining: configmaps has 1 resource instances',
      },
      {
        type: 'NamespaceFinalizersRemaining',
        status: 'True',
        message: 'Some content in the namespace has finalizers remaining: test.tepui.dev/hold in 1 resource instances',
      },
    ]);
    expect((await api.call('POST', inside, configMap('late'))).status).toBe(403);
    const release = [{ op: 'remove', path: '/metadata/finalizers' }];
    await api.call('PATCH', `${inside}/held`, release, { 'content-type': 'application/json-patch+json' });
    await until(`${namespaces}/shop`, ({ status }) => status === 404);
  });
});

describe('a deleted CRD', () => {
  test('deletes its objects first, and waits for those that are held', async () => {
    await api.call('POST', crds, widgetCrd);
    await until(widgets, ({ status }) => status === 200);
    await api.call('POST', widgets, widget('plain'));
    await api.call('POST', widgets, widget('held', {}, { finalizers: ['test.tepui.dev/hold'] }));
    const crd = `${crds}/${widgetCrd.metadata.name}`;
    await api.call('DELETE', crd);
    await until(`${widgets}/plain`, ({ status }) => status === 404);
    await until(crd, ({ body }) => body.status?.conditions.some((condition: Json) => condition.type === 'Terminating'));
    const release = [{ op: 'remove', path: '/metadata/finalizers' }];
    await api.call('PATCH', `${widgets}/held`, release, { 'content-type': 'application/json-patch+json' });
    await until(crd, ({ status }) => status === 404);
    await until(widgets, ({ status }) => status === 404);
    expect((await api.call('POST', crds, widgetCrd)).status).toBe(201);
    await until(widgets, ({ status, body }) => status === 200 && body.items.length === 0);
  });
});

test('what was to be collected when the server stopped is collected when it starts again', async () => {
  const first = await startTestServer();
  const owner = (await first.call('POST', configMaps, configMap('restart-owner'))).body;
  const held = configMap(
    'restart-held',
    {},
    { ...ownedBy(owner, { blockOwnerDeletion: true }), finalizers: ['test.tepui.dev/hold'] },
  );
  await first.call('POST', configMaps, held);
  await first.call('DELETE', `${configMaps}/restart-owner`, { propagationPolicy: 'Foreground' });
  const second = await first.restart();
  try {
    expect((await second.call('GET', `${configMaps}/restart-owner`)).status).toBe(200);
    const release = [{ op: 'remove', path: '/metadata/finalizers' }];
    await second.call('PATCH', `${configMaps}/restart-held`, release, {
      'content-type': 'application/json-patch+json',
    });
    for (let i = 0; i < 200 && (await second.call('GET', `${configMaps}/restart-owner`)).status === 200; i++)
      await sleep(10);
    expect((await second.call('GET', `${configMaps}/restart-owner`)).status).toBe(404);
  } finally {
    await second.close();
  }
});
