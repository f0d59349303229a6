import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { widgetCrd, widgetsPath } from '../kubectl/widgets.ts';
import { crds, type Json } from '../server-fixture.ts';
import { type BothServers, normal, type Reply, startBoth, whyNotComparable } from './both.ts';

const describeBoth = whyNotComparable('crd') ? describe.skip : describe;

let both: BothServers;

/** managedFields without times; entries in the order of their names, since equal times do not order them. */
function managed({ body }: Reply): Json {
  return (body.metadata?.managedFields ?? [])
    .map(({ time: _, ...entry }: Json) => entry)
    .sort((a: Json, b: Json) =>
      JSON.stringify([a.manager, a.operation, a.subresource]) < JSON.stringify([b.manager, b.operation, b.subresource])
        ? -1
        : 1,
    );
}

const widget = (name: string, spec: object, metadata: object = {}, more: object = {}) => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name, ...metadata },
  spec,
  ...more,
});

async function apply(manager: string, document: Json, options = ''): Promise<{ ours: Reply; genuine: Reply }> {
  const path = `${widgetsPath}/${document.metadata.name}${options.startsWith('/') ? options : ''}`;
  const query = options.startsWith('&') ? options : '';
  return both.call('PATCH', `${path}?fieldManager=${manager}${query}`, document, {
    'content-type': 'application/apply-patch+yaml',
  });
}

/** Both must answer the same, with the same owners. */
async function same(answers: Promise<{ ours: Reply; genuine: Reply }>): Promise<Reply> {
  const { ours, genuine } = await answers;
  expect({ status: ours.status, body: normal(ours.body) }).toEqual({
    status: genuine.status,
    body: normal(genuine.body),
  });
  expect(managed(ours)).toEqual(managed(genuine));
  return ours;
}

/** The same object, whoever owns it: an object is only tracked here once somebody has applied it. */
async function alike(answers: Promise<{ ours: Reply; genuine: Reply }>): Promise<Reply> {
  const { ours, genuine } = await answers;
  expect({ status: ours.status, body: normal(ours.body) }).toEqual({
    status: genuine.status,
    body: normal(genuine.body),
  });
  return ours;
}

const merge = (name: string, patch: object, manager = 'editor') =>
  both.call('PATCH', `${widgetsPath}/${name}?fieldManager=${manager}`, patch, {
    'content-type': 'application/merge-patch+json',
  });

describeBoth('server-side apply compared with a genuine API server', () => {
  beforeAll(async () => {
    both = await startBoth('crd');
    await both.call('POST', crds, parse(widgetCrd));
    for (let served = false; !served; await sleep(50)) {
      const { ours, genuine } = await both.call('GET', widgetsPath);
      served = ours.status === 200 && genuine.status === 200;
    }
  }, 60_000);
  afterAll(() => both?.close());

  test('creates, changes, adds and removes', async () => {
    const ports = [{ name: 'a' }, { name: 'b', number: 2 }];
    await same(apply('one', widget('life', { color: 'red', ports, tags: { x: '1', y: '2' } }, { labels: { l: '1' } })));
    await same(apply('one', widget('life', { color: 'red', ports, tags: { x: '1', y: '2' } }, { labels: { l: '1' } })));
    await same(
      apply(
        'one',
        widget('life', { color: 'blue', ports: [{ name: 'b', number: 3 }, { name: 'c' }], tags: { y: '2' } }),
      ),
    );
    await same(apply('one', widget('life', { color: 'blue' })));
  });

  test('two appliers share an object, and each removes only its own', async () => {
    await same(
      apply(
        'one',
        widget('shared', { color: 'red', ports: [{ name: 'a', number: 1 }], tags: { one: '1', both: '1' } }),
      ),
    );
    await same(apply('two', widget('shared', { color: 'red', ports: [{ name: 'b' }], tags: { two: '2', both: '1' } })));
    await same(apply('one', widget('shared', { color: 'red' })));
    await same(apply('two', widget('shared', { color: 'red', tags: { two: '2' } })));
  });

  test('a conflict is told in the same words, and can be forced', async () => {
    await same(apply('one', widget('fought', { color: 'red', replicas: 2, ports: [{ name: 'a', number: 1 }] })));
    const refused = await same(apply('two', widget('fought', { color: 'blue' })));
    expect(refused.body.message).toBe('Apply failed with 1 conflict: conflict with "one": .spec.color');
    const several = await same(
      apply('two', widget('fought', { color: 'blue', replicas: 3, ports: [{ name: 'a', number: 9 }] })),
    );
    expect(several.body.message).toContain('Apply failed with 3 conflicts: conflicts with "one":');
    await same(apply('two', widget('fought', { color: 'blue', replicas: 3 }), '&force=true'));
    await same(apply('one', widget('fought', { color: 'blue', replicas: 3 })));
  });

  test('an update takes the fields it changes', async () => {
    await same(apply('one', widget('edited', { color: 'red', replicas: 2, tags: { a: '1' } })));
    await same(merge('edited', { spec: { replicas: 4, tags: { b: '2' } }, metadata: { annotations: { note: 'x' } } }));
    const refused = await same(apply('one', widget('edited', { color: 'red', replicas: 2, tags: { a: '1' } })));
    expect(refused.body.message).toContain('conflict with "editor" using example.com/v1: .spec.replicas');
    await same(apply('one', widget('edited', { color: 'red', tags: { a: '1' } })));
    await same(merge('edited', { spec: { tags: { a: null } } }));
    await same(merge('edited', { spec: { tags: { a: null } } }));
  });

  test('status is owned apart', async () => {
    await same(apply('one', widget('stated', { color: 'red' }, {}, { status: { replicas: 9 } })));
    const { spec: _, ...stated } = widget(
      'stated',
      {},
      {},
      { status: { replicas: 2, conditions: [{ type: 'Ready', status: 'True' }] } },
    ) as Json;
    await same(apply('controller', stated, '/status'));
    await same(
      both.call(
        'PATCH',
        `${widgetsPath}/stated/status?fieldManager=other`,
        { status: { replicas: 3 } },
        { 'content-type': 'application/merge-patch+json' },
      ),
    );
    await same(apply('one', widget('stated', { color: 'blue' })));
  });

  test('finalizers are a set, owner references are items', async () => {
    const owner = (uid: string) => ({ apiVersion: 'v1', kind: 'X', name: 'x', uid });
    await same(
      apply('one', widget('meta', { color: 'red' }, { finalizers: ['a.b/c'], ownerReferences: [owner('u1')] })),
    );
    await same(
      apply('two', widget('meta', { color: 'red' }, { finalizers: ['d.e/f'], ownerReferences: [owner('u2')] })),
    );
    await same(apply('one', widget('meta', { color: 'red' })));
    await alike(
      both.call(
        'PATCH',
        `${widgetsPath}/meta`,
        { metadata: { finalizers: null } },
        { 'content-type': 'application/merge-patch+json' },
      ),
    );
  });

  test('an object that was never applied belongs to those before; other values are conflicts', async () => {
    await alike(both.call('POST', `${widgetsPath}?fieldManager=maker`, widget('older', { color: 'red', replicas: 2 })));
    const { ours, genuine } = await apply('one', widget('older', { color: 'blue' }));
    expect([ours.status, genuine.status]).toEqual([409, 409]);
    await alike(apply('one', widget('older', { color: 'red', tags: { a: '1' } })));
    await alike(apply('one', widget('older', { color: 'blue' }), '&force=true'));
  });

  test.each<[string, string, Json, string]>([
    ['no manager', '', widget('bad', { color: 'red' }), ''],
    ['no type', 'one', { metadata: { name: 'bad' } }, ''],
    ['another name', 'one', widget('bad', { color: 'red' }), 'name'],
    ['an invalid document', 'one', widget('bad', { color: 'green' }), ''],
    ['managed fields', 'one', widget('bad', { color: 'red' }, { managedFields: [] }), ''],
  ])('is refused with %s', async (_, manager, document, other) => {
    const path = `${widgetsPath}/${other || 'bad'}?${manager && `fieldManager=${manager}`}`;
    const { ours, genuine } = await both.call('PATCH', path, document, {
      'content-type': 'application/apply-patch+yaml',
    });
    expect([ours.status, ours.body.reason]).toEqual([genuine.status, genuine.body.reason]);
  });

  test('dry run shows the result and keeps nothing', async () => {
    await same(apply('one', widget('dry', { color: 'red' }), '&dryRun=All'));
    const { ours, genuine } = await both.call('GET', `${widgetsPath}/dry`);
    expect([ours.status, genuine.status]).toEqual([404, 404]);
  });
});
