import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { crds, type Json, startTestServer, type TestServer, widgetCrd } from '../server-fixture.ts';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
  expect((await api.call('POST', crds, widgetCrd)).status).toBe(201);
});
afterAll(() => api.close());

const urlOf = async (name: string): Promise<string> =>
  (await api.call('GET', '/openapi/v3')).body.paths[name].serverRelativeURL;

describe('OpenAPI v3', () => {
  test('has an index with a hash per group version, that changes with the schema', async () => {
    const { paths } = (await api.call('GET', '/openapi/v3')).body;
    expect(Object.keys(paths)).toEqual(
      expect.arrayContaining(['api/v1', 'apis/coordination.k8s.io/v1', 'apis/test.tepui.dev/v1']),
    );
    const before = await urlOf('apis/test.tepui.dev/v1');
    const leases = await urlOf('apis/coordination.k8s.io/v1');
    const patch = [{ op: 'add', path: '/spec/versions/0/schema/openAPIV3Schema/description', value: 'A widget.' }];
    await api.call('PATCH', `${crds}/${widgetCrd.metadata.name}`, patch, {
      'content-type': 'application/json-patch+json',
    });
    expect(await urlOf('apis/test.tepui.dev/v1')).not.toBe(before);
    expect(await urlOf('apis/coordination.k8s.io/v1')).toBe(leases);
  });

  test('documents may be kept by their hash', async () => {
    const url = await urlOf('apis/test.tepui.dev/v1');
    const first = await api.call('GET', url);
    expect(first.headers['cache-control']).toContain('immutable');
    expect((await api.call('GET', url.split('?')[0]!)).headers['cache-control']).not.toContain('immutable');
    expect((await api.call('GET', url, undefined, { 'if-none-match': String(first.headers.etag) })).status).toBe(304);
    expect((await api.call('GET', '/openapi/v3/apis/nope/v1')).status).toBe(404);
  });

  test('documents have the schema of the kind, and say what patches can do', async () => {
    const { body } = await api.call('GET', await urlOf('apis/test.tepui.dev/v1'));
    const schema = body.components.schemas['dev.tepui.test.v1.Widget'];
    expect(schema['x-kubernetes-group-version-kind']).toEqual([
      { group: 'test.tepui.dev', kind: 'Widget', version: 'v1' },
    ]);
    expect(schema.properties.spec.properties.replicas).toEqual({ type: 'integer', default: 1 });
    expect(schema['x-kubernetes-selectable-fields']).toEqual([{ fieldPath: 'spec.color' }]);
    const root = '/apis/test.tepui.dev/v1/namespaces/{namespace}/widgets';
    expect(Object.keys(body.paths)).toEqual([
      root,
      `${root}/{name}`,
      '/apis/test.tepui.dev/v1/widgets',
      `${root}/{name}/status`,
      `${root}/{name}/scale`,
    ]);
    const { patch } = body.paths[`${root}/{name}`];
    expect(patch.parameters.map(({ name }: Json) => name)).toEqual([
      'dryRun',
      'fieldManager',
      'fieldValidation',
      'force',
    ]);
    expect(Object.keys(patch.requestBody.content)).not.toContain('application/strategic-merge-patch+json');
    const core = (await api.call('GET', await urlOf('api/v1'))).body;
    const configMap = core.paths['/api/v1/namespaces/{namespace}/configmaps/{name}'].patch;
    expect(Object.keys(configMap.requestBody.content)).toContain('application/strategic-merge-patch+json');
  });

  test('every reference in a document is in it', async () => {
    for (const name of [
      'api/v1',
      'apis/test.tepui.dev/v1',
      'apis/apiextensions.k8s.io/v1',
      'apis/authorization.k8s.io/v1',
    ]) {
      const { text, body } = await api.call('GET', await urlOf(name));
      const references = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, schema]) => schema!);
      expect(references.filter((schema) => !(schema in body.components.schemas))).toEqual([]);
    }
  });
});

describe('OpenAPI v2', () => {
  test('is a protocol buffer for old kubectl, and JSON for others', async () => {
    const json = await api.call('GET', '/openapi/v2');
    expect(json.body.swagger).toBe('2.0');
    const definition = json.body.definitions['dev.tepui.test.v1.Widget'];
    expect(definition.properties.metadata.$ref).toBe('#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');
    const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
    const protobuf = await api.call('GET', '/openapi/v2', undefined, { accept });
    expect(protobuf.headers['content-type']).toBe('application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
    expect(protobuf.text.slice(0, 5)).toBe('\n\u00032.0');
  });
});
