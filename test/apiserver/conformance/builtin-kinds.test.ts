import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { configMap, configMaps, type Json } from '../server-fixture.ts';
import { type BothServers, causesOf, normal, type Reply, startBoth, whyNotComparable } from './both.ts';

/** Built-in kinds and garbage collection, compared with a whole but old (1.20) Kubernetes. */

const describeBoth = whyNotComparable('full') ? describe.skip : describe;
const core = '/api/v1/namespaces/default';

let both: BothServers;

/** Without what one of the two adds for its own reasons: zero values of Go structures, newer defaults. */
function comparable({ body }: Reply): Json {
  const { metadata: { labels: _, ...metadata } = {}, ...rest } = normal(body);
  const filled = Object.entries<Json>(rest).filter(
    ([, value]) => value !== '' && !['{}', '[]'].includes(JSON.stringify(value)),
  );
  return { metadata, ...Object.fromEntries(filled) };
}

describeBoth('built-in kinds compared with a genuine API server', () => {
  beforeAll(async () => {
    both = await startBoth('full');
  }, 120_000);
  afterAll(() => both?.close());

  const event = {
    metadata: { name: 'e' },
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
    reason: 'R',
    message: 'm',
    type: 'Normal',
    count: 2,
    firstTimestamp: '2026-01-02T03:04:05Z',
    source: { component: 'c' },
  };
  const newer = {
    metadata: { name: 'n' },
    regarding: { kind: 'Pod', name: 'p', namespace: 'default' },
    reason: 'R',
    note: 'm',
    type: 'Normal',
    action: 'A',
    eventTime: '2026-01-02T03:04:05.000000Z',
    reportingController: 'a.b/c',
    reportingInstance: 'i',
  };

  test.each<[string, string, object]>([
    ['config map', `${core}/configmaps`, { metadata: { name: 'a' }, data: { x: '1' }, binaryData: { y: 'YQ==' } }],
    ['secret', `${core}/secrets`, { metadata: { name: 'a' }, stringData: { x: '1' }, data: { z: 'YQ==' } }],
    ['service account', `${core}/serviceaccounts`, { metadata: { name: 'a' }, secrets: [{ name: 's' }] }],
    ['namespace', '/api/v1/namespaces', { metadata: { name: 'shop' } }],
    [
      'lease',
      '/apis/coordination.k8s.io/v1/namespaces/default/leases',
      {
        metadata: { name: 'a' },
        spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime: '2026-01-02T03:04:05.000000Z' },
      },
    ],
    ['event', `${core}/events`, event],
    ['newer event', '/apis/events.k8s.io/v1/namespaces/default/events', newer],
  ])('a new %s is the same', async (_, path, body) => {
    const { ours, genuine } = await both.call('POST', path, body);
    expect([ours.status, genuine.status]).toEqual([201, 201]);
    expect(comparable(ours)).toEqual(comparable(genuine));
  });

  test.each(['/api/v1/namespaces/default/events/n', '/apis/events.k8s.io/v1/namespaces/default/events/e'])(
    '%s is the same event in its other form',
    async (path) => {
      const { ours, genuine } = await both.call('GET', path);
      expect(comparable(ours)).toEqual(comparable(genuine));
    },
  );

  test.each<[string, string, object]>([
    [
      'config map keys',
      `${core}/configmaps`,
      { metadata: { name: 'b' }, data: { 'a/b': '1', '..': '2', both: '3' }, binaryData: { both: 'YQ==' } },
    ],
    ['secret keys', `${core}/secrets`, { metadata: { name: 'b' }, data: { 'a b': 'YQ==' } }],
    ['TLS secret', `${core}/secrets`, { metadata: { name: 'b' }, type: 'kubernetes.io/tls' }],
    [
      'lease duration',
      '/apis/coordination.k8s.io/v1/namespaces/default/leases',
      { metadata: { name: 'b' }, spec: { leaseDurationSeconds: 0 } },
    ],
    [
      'event of another namespace',
      `${core}/events`,
      { ...event, metadata: { name: 'b' }, involvedObject: { namespace: 'other' } },
    ],
    ['namespace name', '/api/v1/namespaces', { metadata: { name: 'Bad' } }],
  ])('a bad %s is refused for the same causes', async (_, path, body) => {
    const { ours, genuine } = await both.call('POST', path, body);
    expect([ours.status, ours.body.reason]).toEqual([genuine.status, genuine.body.reason]);
    expect(causesOf(ours)).toEqual(causesOf(genuine));
  });

  test.each([
    ['/api/v1/namespaces', ['shop']],
    [`${core}/configmaps`, ['a']],
    [`${core}/secrets`, ['a']],
    [`${core}/serviceaccounts`, ['a']],
    [`${core}/events`, ['e', 'n']],
    ['/apis/events.k8s.io/v1/namespaces/default/events', ['e', 'n']],
    ['/apis/coordination.k8s.io/v1/namespaces/default/leases', ['a']],
  ])('the table of %s is the same', async (path, names) => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const { ours, genuine } = await both.call('GET', path, undefined, { accept });
    const columns = ({ body }: Reply) => body.columnDefinitions.map(({ description: _, ...column }: Json) => column);
    expect(columns(ours)).toEqual(columns(genuine));
    const rows = ({ body }: Reply) =>
      body.rows
        .filter(({ object }: Json) => names.includes(object.metadata.name))
        .map(({ cells }: Json) => cells.map((cell: Json) => (/^\d+[smhd]/.test(cell) ? 'age' : cell)));
    expect(rows(ours)).toEqual(rows(genuine));
  });

  test.each<[string, string, object]>([
    ['config map data', 'configmaps', { data: { x: null, w: '2' } }],
    ['a replaced map', 'configmaps', { data: { $patch: 'replace', only: '1' } }],
    ['kept keys', 'configmaps', { data: { $retainKeys: ['k'], k: '1' } }],
    ['a new list entry', 'serviceaccounts', { secrets: [{ name: 'new' }] }],
    ['a changed list entry', 'serviceaccounts', { secrets: [{ name: 's', kind: 'Secret' }] }],
    ['a deleted list entry', 'serviceaccounts', { secrets: [{ name: 's', $patch: 'delete' }] }],
    ['a replaced list', 'serviceaccounts', { secrets: [{ $patch: 'replace' }, { name: 'z' }] }],
    [
      'an ordered list',
      'serviceaccounts',
      { secrets: [{ name: 'z' }], '$setElementOrder/secrets': [{ name: 's' }, { name: 'z' }] },
    ],
    ['added finalizers', 'configmaps', { metadata: { finalizers: ['x.y/z'] } }],
  ])('a strategic merge patch of %s does the same', async (_, plural, patch) => {
    const headers = { 'content-type': 'application/strategic-merge-patch+json' };
    const { ours, genuine } = await both.call('PATCH', `${core}/${plural}/a?dryRun=All`, patch, headers);
    expect([ours.status, genuine.status]).toEqual([200, 200]);
    expect(comparable(ours)).toEqual(comparable(genuine));
  });

  test.each(['Background', 'Foreground', 'Orphan'])('a deletion with %s leaves the same', async (propagationPolicy) => {
    const [owner, dependent] = [
      `owner-${propagationPolicy.toLowerCase()}`,
      `dependent-${propagationPolicy.toLowerCase()}`,
    ];
    const { ours, genuine } = await both.call('POST', configMaps, configMap(owner));
    for (const { body } of [ours, genuine]) {
      const reference = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        name: owner,
        uid: body.metadata.uid,
        blockOwnerDeletion: true,
      };
      const name = body === ours.body ? dependent : `${dependent}-genuine`;
      await both.call('POST', configMaps, configMap(name, {}, { ownerReferences: [reference] }));
    }
    // The dependents that name the uid of the other server's owner are collected in both.
    await both.call('DELETE', `${configMaps}/${owner}`, { propagationPolicy });
    const state = async () => {
      const [mine, theirs] = await Promise.all([
        both.call('GET', `${configMaps}/${dependent}`),
        both.call('GET', `${configMaps}/${dependent}-genuine`),
      ]);
      const left = await both.call('GET', `${configMaps}/${owner}`);
      const view = (own: Reply, ownerLeft: Reply) => [
        own.status,
        own.body.metadata?.ownerReferences ?? [],
        ownerLeft.status,
      ];
      return { ours: view(mine.ours, left.ours), genuine: view(theirs.genuine, left.genuine) };
    };
    const wanted = propagationPolicy === 'Orphan' ? [200, [], 404] : [404, [], 404];
    for (let i = 0; i < 100; i++, await sleep(100)) {
      const { ours: mine, genuine: theirs } = await state();
      if (JSON.stringify(mine) === JSON.stringify(wanted) && JSON.stringify(theirs) === JSON.stringify(wanted)) return;
    }
    expect(await state()).toEqual({ ours: wanted, genuine: wanted });
  });

  test('a terminating namespace says the same', async () => {
    const held = configMap('held', {}, { finalizers: ['x.y/z'] });
    await both.call('POST', '/api/v1/namespaces', { metadata: { name: 'ending' } });
    await both.call('POST', '/api/v1/namespaces/ending/configmaps', held);
    await both.call('DELETE', '/api/v1/namespaces/ending');
    const remaining = ({ body }: Reply) =>
      (body.status?.conditions ?? [])
        .filter(({ type }: Json) => /Remaining$/.test(type))
        .map(({ lastTransitionTime: _, ...condition }: Json) => condition);
    for (let i = 0; i < 100; i++, await sleep(100)) {
      const { ours, genuine } = await both.call('GET', '/api/v1/namespaces/ending');
      if (remaining(ours).length < 2 || remaining(genuine).length < 2) continue;
      const [mine, theirs] = [remaining(ours), remaining(genuine)];
      expect(mine[1]).toEqual(theirs[1]);
      expect(mine[0].message).toMatch(/^Some resources are remaining: configmaps\.? has 1 resource instances/);
      expect(theirs[0].message).toMatch(/^Some resources are remaining: configmaps\.? has 1 resource instances/);
      const late = await both.call('POST', '/api/v1/namespaces/ending/configmaps', configMap('late'));
      expect([late.ours.status, late.ours.body.reason]).toEqual([late.genuine.status, late.genuine.body.reason]);
      await both.call(
        'PATCH',
        '/api/v1/namespaces/ending/configmaps/held',
        [{ op: 'remove', path: '/metadata/finalizers' }],
        { 'content-type': 'application/json-patch+json' },
      );
      return;
    }
    throw new Error('no conditions after 10 s');
  });
});
