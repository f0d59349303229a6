import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type KubectlServer, startKubectlServer } from './kubectl.ts';

let kubectl: KubectlServer;
beforeAll(async () => {
  kubectl = await startKubectlServer();
});
afterAll(() => kubectl.close());

const json = async (...args: string[]) => JSON.parse(await kubectl.ok(['get', '-o', 'json', ...args]));

test('config maps: create, strategic patch, apply, describe', async () => {
  expect(await kubectl.ok(['create', 'configmap', 'settings', '--from-literal=a=1', '--from-literal=b=2'])).toBe(
    'configmap/settings created',
  );
  expect(await kubectl.ok(['get', 'cm', 'settings', '--no-headers'])).toMatch(/^settings +2 +\S+$/);
  expect(await kubectl.ok(['patch', 'cm', 'settings', '-p', '{"data":{"a":null,"c":"3"}}'])).toBe(
    'configmap/settings patched',
  );
  expect((await json('cm', 'settings')).data).toEqual({ b: '2', c: '3' });
  // kubectl prints the keys in any order.
  expect(await kubectl.ok(['describe', 'cm', 'settings'])).toMatch(/\nb:\n----\n2\n/);
  const input = (data: string) => ({
    input: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {${data}}\n`,
  });
  await kubectl.ok(['apply', '-f', '-'], input('x: "1", y: "2"'));
  expect(await kubectl.ok(['apply', '-f', '-'], input('x: "1", y: "2"'))).toBe('configmap/applied unchanged');
  await kubectl.ok(['apply', '-f', '-'], input('x: "5"'));
  expect((await json('cm', 'applied')).data).toEqual({ x: '5' });
  const refused = await kubectl.run(['create', 'cm', 'bad', '--from-literal=a/b=1']);
  expect(refused.stderr).toMatch(/a\/b/);
});

test('secrets: types, columns, and values hidden by describe', async () => {
  await kubectl.ok(['create', 'secret', 'generic', 'password', '--from-literal=word=hush']);
  expect(await kubectl.ok(['get', 'secret', 'password', '--no-headers'])).toMatch(/^password +Opaque +1 +\S+$/);
  expect(await kubectl.ok(['describe', 'secret', 'password'])).toMatch(/word: +4 bytes/);
  expect(await kubectl.ok(['get', 'secret', 'password', '-o', 'jsonpath={.data.word}'])).toBe('aHVzaA==');
  expect(await kubectl.ok(['get', 'secret', '--field-selector', 'type=Opaque', '-o', 'name'])).toBe('secret/password');
});

test('namespaces: create, describe, use, delete with contents', async () => {
  expect(await kubectl.ok(['create', 'namespace', 'shop'])).toBe('namespace/shop created');
  await kubectl.ok(['create', '-n', 'shop', 'configmap', 'inside', '--from-literal=a=1']);
  expect(await kubectl.ok(['get', 'ns', 'shop', '--no-headers'])).toMatch(/^shop +Active +\S+$/);
  expect(await kubectl.ok(['describe', 'ns', 'shop'])).toMatch(/Status: +Active/);
  await kubectl.ok(['delete', 'namespace', 'shop', '--timeout=20s']);
  expect((await kubectl.run(['get', '-n', 'shop', 'cm', 'inside'])).stderr).toContain('NotFound');
  expect((await kubectl.run(['create', '-n', 'shop', 'configmap', 'late'])).stderr).toContain(
    'namespaces "shop" not found',
  );
  expect((await kubectl.run(['delete', 'namespace', 'default'])).stderr).toContain('forbidden');
});

test('service accounts and leases have their columns', async () => {
  await kubectl.ok(['create', 'serviceaccount', 'robot']);
  expect(await kubectl.ok(['get', 'sa', 'robot', '--no-headers'])).toMatch(/^robot +0 +\S+$/);
  const lease =
    'apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: lead}\nspec: {holderIdentity: me, renewTime: "2026-01-02T03:04:05.000000Z"}\n';
  await kubectl.ok(['apply', '-f', '-'], { input: lease });
  expect(await kubectl.ok(['get', 'lease', 'lead', '--no-headers'])).toMatch(/^lead +me +\S+$/);
});

test('events are the same by both of their names', async () => {
  const event = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'one' },
    regarding: { kind: 'Task', name: 'web-0', namespace: 'default' },
    reason: 'Started',
    note: 'it runs',
    type: 'Normal',
    action: 'Starting',
    eventTime: '2026-01-02T03:04:05.000000Z',
    reportingController: 'tepui.dev/agent',
    reportingInstance: 'n1',
  };
  await kubectl.ok(['create', '-f', '-'], { input: JSON.stringify(event) });
  expect(await json('events', 'one')).toMatchObject({
    apiVersion: 'v1',
    involvedObject: { name: 'web-0' },
    message: 'it runs',
  });
  expect(await json('events.v1.events.k8s.io', 'one')).toMatchObject(event);
  expect(await kubectl.ok(['get', 'events', '-o', 'wide', '--no-headers'])).toMatch(
    /Normal +Started +task\/web-0 +tepui.dev\/agent, n1 +it runs/,
  );
  expect(
    await kubectl.ok(['get', 'events.v1.events.k8s.io', '--field-selector', 'regarding.name=web-0', '-o', 'name']),
  ).toContain('one');
});

test('explain knows the built-in kinds', async () => {
  for (const kind of ['ns', 'cm', 'secret', 'sa', 'lease', 'events', 'crd']) {
    expect(await kubectl.ok(['explain', kind])).toMatch(/DESCRIPTION:\n +\S/);
  }
  expect(await kubectl.ok(['explain', 'crd.spec.versions.schema'])).toContain('openAPIV3Schema');
});
