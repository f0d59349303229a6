import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compareVersions } from '../../../apiserver/discovery/groups.ts';
import { crds, type Json, startTestServer, type TestServer, widgetCrd, widgets } from '../server-fixture.ts';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
  expect((await api.call('POST', crds, widgetCrd)).status).toBe(201);
});
afterAll(() => api.close());

const aggregated = (version: string) => ({
  accept: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList,application/json`,
});

describe('plain discovery', () => {
  test('lists groups, versions and resources with their subresources', async () => {
    expect((await api.call('GET', '/api')).body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
    const { groups } = (await api.call('GET', '/apis')).body;
    expect(groups.map(({ name }: Json) => name)).toEqual(
      expect.arrayContaining(['apiextensions.k8s.io', 'coordination.k8s.io', 'events.k8s.io', 'test.tepui.dev']),
    );
    expect((await api.call('GET', '/apis/test.tepui.dev')).body).toMatchObject({
      kind: 'APIGroup',
      name: 'test.tepui.dev',
      preferredVersion: { groupVersion: 'test.tepui.dev/v1', version: 'v1' },
    });
    const { resources } = (await api.call('GET', '/apis/test.tepui.dev/v1')).body;
    expect(resources).toMatchObject([
      {
        name: 'widgets',
        singularName: 'widget',
        namespaced: true,
        kind: 'Widget',
        shortNames: ['wd'],
        storageVersionHash: expect.stringMatching(/^.{11}=$/),
      },
      { name: 'widgets/status', kind: 'Widget', verbs: ['get', 'patch', 'update'] },
      { name: 'widgets/scale', group: 'autoscaling', version: 'v1', kind: 'Scale' },
    ]);
    const core = (await api.call('GET', '/api/v1')).body.resources;
    expect(core.find(({ name }: Json) => name === 'namespaces').verbs).not.toContain('deletecollection');
    expect(core.map(({ name }: Json) => name)).toEqual([
      'configmaps',
      'events',
      'namespaces',
      'namespaces/finalize',
      'namespaces/status',
      'secrets',
      'serviceaccounts',
    ]);
  });

  test('of unknown groups and versions is 404', async () => {
    for (const path of ['/apis/nope', '/apis/test.tepui.dev/v9', '/api/v2']) {
      expect((await api.call('GET', path)).status).toBe(404);
    }
  });
});

describe.each(['v2', 'v2beta1'])('aggregated discovery %s', (version) => {
  test('is one document, which is not sent again while nothing changes', async () => {
    const first = await api.call('GET', '/apis', undefined, aggregated(version));
    expect(first.headers['content-type']).toBe(
      `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
    );
    expect(first.body.apiVersion).toBe(`apidiscovery.k8s.io/${version}`);
    const group = first.body.items.find(({ metadata }: Json) => metadata.name === 'test.tepui.dev');
    expect(group.versions).toMatchObject([
      {
        version: 'v1',
        freshness: 'Current',
        resources: [
          {
            resource: 'widgets',
            responseKind: { group: 'test.tepui.dev', version: 'v1', kind: 'Widget' },
            scope: 'Namespaced',
            singularResource: 'widget',
            subresources: [
              { subresource: 'status' },
              { subresource: 'scale', responseKind: { group: 'autoscaling', kind: 'Scale' } },
            ],
          },
        ],
      },
    ]);
    const again = await api.call('GET', '/apis', undefined, {
      ...aggregated(version),
      'if-none-match': String(first.headers.etag),
    });
    expect([again.status, again.text]).toEqual([304, '']);
    const core = await api.call('GET', '/api', undefined, aggregated(version));
    expect(core.body.items[0].versions[0].resources.map(({ resource }: Json) => resource)).toContain('configmaps');
  });
});

test('a new CRD is found at once', async () => {
  const other = structuredClone(widgetCrd);
  other.metadata.name = 'gears.test.tepui.dev';
  other.spec.names = { plural: 'gears', singular: 'gear', kind: 'Gear', listKind: 'GearList', shortNames: ['gr'] };
  await api.call('POST', crds, other);
  const { body } = await api.call('GET', '/apis/test.tepui.dev/v1');
  expect(body.resources.map(({ name }: Json) => name)).toContain('gears');
  expect((await api.call('GET', widgets.replace('widgets', 'gears'))).status).toBe(200);
});

test('the version can be read by tools that compare it', async () => {
  const { body } = await api.call('GET', '/version');
  expect(body).toMatchObject({
    major: '1',
    minor: expect.stringMatching(/^\d+$/),
    gitVersion: expect.stringMatching(/^v1\.\d+\.0\+tepui-\d/),
  });
});

test('versions are preferred in the order of Kubernetes', () => {
  const sorted = ['foo1', 'v1', 'v10', 'v3beta1', 'v12alpha1', 'v11alpha2', 'foo10', 'v2', 'v3beta2'].sort(
    compareVersions,
  );
  expect(sorted).toEqual(['v10', 'v2', 'v1', 'v3beta2', 'v3beta1', 'v12alpha1', 'v11alpha2', 'foo1', 'foo10']);
});
