import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  ApiextensionsV1Api,
  CoordinationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  EventsV1Api,
  KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  setHeaderOptions,
  V1MicroTime,
  Watch,
} from '@kubernetes/client-node';
import { parse } from 'yaml';
import { crds, startTestServer, type TestServer } from '../server-fixture.ts';
import { widgetCrd } from './widgets.ts';

/** The generated models of the official client read and write what this server does. */

let api: TestServer;
let config: KubeConfig;
beforeAll(async () => {
  api = await startTestServer();
  config = new KubeConfig();
  config.loadFromFile(api.server.kubeconfigPath);
});
afterAll(() => api.close());

const namespace = 'default';

test('core kinds come back as typed objects with dates', async () => {
  const core = config.makeApiClient(CoreV1Api);
  const made = await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'a' }, data: { x: '1' } } });
  expect(made.metadata?.creationTimestamp).toBeInstanceOf(Date);
  const list = await core.listNamespacedConfigMap({ namespace, labelSelector: '!nothing', limit: 1 });
  expect(list.items.map(({ metadata }) => metadata?.name)).toEqual(['a']);
  await core.createNamespacedSecret({ namespace, body: { metadata: { name: 's' }, stringData: { a: 'b' } } });
  expect((await core.readNamespacedSecret({ namespace, name: 's' })).data).toEqual({ a: 'Yg==' });
  const merge = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
  const patched = await core.patchNamespacedConfigMap({ namespace, name: 'a', body: { data: { y: '2' } } }, merge);
  expect(patched.data).toEqual({ x: '1', y: '2' });
  const gone = await core.deleteNamespacedConfigMap({ namespace, name: 'a', propagationPolicy: 'Background' });
  expect(gone.status).toBe('Success');
  await expect(core.readNamespacedConfigMap({ namespace, name: 'a' })).rejects.toMatchObject({ code: 404 });
});

test('leases and events keep microseconds', async () => {
  const leases = config.makeApiClient(CoordinationV1Api);
  const renewTime = new V1MicroTime('2026-01-02T03:04:05.678Z');
  await leases.createNamespacedLease({
    namespace,
    body: { metadata: { name: 'l' }, spec: { holderIdentity: 'me', renewTime } },
  });
  const read = await leases.readNamespacedLease({ namespace, name: 'l' });
  expect(new Date(read.spec?.renewTime as Date).getTime()).toBe(renewTime.getTime());
  const events = config.makeApiClient(EventsV1Api);
  const body = {
    metadata: { name: 'e' },
    eventTime: renewTime,
    regarding: { kind: 'Task', name: 't', namespace },
    reason: 'R',
    type: 'Normal',
    action: 'A',
    note: 'n',
    reportingController: 'tepui.dev/test',
    reportingInstance: 'i',
  };
  await events.createNamespacedEvent({ namespace, body });
  expect((await config.makeApiClient(CoreV1Api).readNamespacedEvent({ namespace, name: 'e' })).message).toBe('n');
});

test('a CRD, its objects, and a watch on them', async () => {
  const extensions = config.makeApiClient(ApiextensionsV1Api);
  // Not by the client: its models have other names for the x-kubernetes fields of schemas, and drop these.
  expect((await api.call('POST', crds, parse(widgetCrd))).status).toBe(201);
  const crd = await extensions.readCustomResourceDefinition({ name: 'widgets.example.com' });
  expect(crd.spec.versions.map(({ name }) => name)).toEqual(['v1']);
  const custom = config.makeApiClient(CustomObjectsApi);
  const at = { group: 'example.com', version: 'v1', namespace, plural: 'widgets' };
  const body = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' }, spec: { color: 'red' } };
  const seen: string[] = [];
  const enough = new Promise<void>((resolve, reject) => {
    new Watch(config)
      .watch(
        '/apis/example.com/v1/namespaces/default/widgets',
        { allowWatchBookmarks: true },
        (type, object) => {
          seen.push(`${type} ${object.spec?.color}`);
          if (seen.length === 3) resolve();
        },
        (error) => (error && error.name !== 'AbortError' ? reject(error) : resolve()),
      )
      .then(async (request) => {
        await custom.createNamespacedCustomObject({ ...at, body });
        await custom.patchNamespacedCustomObject({
          ...at,
          name: 'w',
          body: [{ op: 'replace', path: '/spec/color', value: 'blue' }],
        });
        await custom.deleteNamespacedCustomObject({ ...at, name: 'w' });
        await enough;
        request.abort();
      })
      .catch(reject);
  });
  await enough;
  expect(seen).toEqual(['ADDED red', 'MODIFIED blue', 'DELETED blue']);
  const scaled = { ...body, metadata: { name: 'scaled' } };
  await custom.createNamespacedCustomObject({ ...at, body: scaled });
  expect(await custom.getNamespacedCustomObjectScale({ ...at, name: 'scaled' })).toMatchObject({
    kind: 'Scale',
    spec: { replicas: 1 },
  });
});

test('the generic object client finds kinds by discovery', async () => {
  const objects = KubernetesObjectApi.makeApiClient(config);
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'generic', namespace } };
  await objects.create(body);
  expect((await objects.read(body)).metadata?.uid).toBeDefined();
  await objects.delete(body);
});
