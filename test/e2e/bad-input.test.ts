import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ClusterConfig } from '../../controllers/machinery/client/cluster-config.ts';
import { loadClusterConfig } from '../../controllers/machinery/client/kubeconfig.ts';
import { Task } from '../../controllers/machinery/client/resources.ts';
import { eventually, startSystem, type TestSystem } from './harness.ts';

let system: TestSystem;
let config: ClusterConfig;
const manifests = mkdtempSync(join(tmpdir(), 'tepui-manifests-'));

beforeAll(async () => {
  writeFileSync(join(manifests, 'good.yaml'), manifest('good', "command: ['true']"));
  writeFileSync(
    join(manifests, 'broken.yaml'),
    'apiVersion: tepui.dev/v1alpha1\nkind: Task\nmetadata: {name: broken\nspec: [\n',
  );
  mkdirSync(join(manifests, 'deeper'));
  writeFileSync(join(manifests, 'deeper', 'also-good.yaml'), manifest('also-good', "command: ['true']"));
  system = await startSystem(['-f', manifests]);
  config = await loadClusterConfig({ kubeconfig: system.kubeconfig });
}, 60_000);
afterAll(async () => {
  await system?.stop();
  rmSync(manifests, { recursive: true });
}, 60_000);

describe('a document is refused with the place and the rule', () => {
  const cases: [string, string, RegExp][] = [
    [
      'an unknown field',
      manifest('bad', "command: ['true']\n      comand: [x]"),
      /unknown field "spec\.containers\[0\]\.comand"/,
    ],
    ['a wrong type', manifest('bad', 'command: 5'), /spec\.containers\[0\]\.command/],
    [
      'an impossible quantity',
      manifest('bad', "command: ['true']\n      resources: {requests: {mem: lots}}"),
      /spec\.containers\[0\]\.resources\.requests.*(lots|quantity)/s,
    ],
    [
      'memory in bytes by mistake',
      manifest('bad', "command: ['true']\n      resources: {requests: {mem: 128}}"),
      /mem.*128Mi/s,
    ],
    ['a missing command', manifest('bad', 'tty: false'), /spec\.containers\[0\].*command/s],
    [
      'a path with ..',
      manifest('bad', "command: ['true']\n      volumeMounts: [{name: v, mountPath: ../../etc}]"),
      /mountPath/,
    ],
  ];
  test.each(cases)('%s', (_, yaml, message) => {
    const { status, stderr } = system.kubectl(['create', '-f', '-'], yaml);
    expect(stderr).toMatch(message);
    expect(status).not.toBe(0);
  });
});

test('an unknown user ends the task in state Error or Failed and names the user', async () => {
  expect(
    system.kubectl(['create', '-f', '-'], manifest('who', "command: ['true']\n      user: nosuchuser")).stderr,
  ).toBe('');
  const task = await eventually('the task to end', async () => {
    const found = await system.client.get(Task, { namespace: 'default', name: 'who' });
    return ['Error', 'Failed'].includes(found?.status?.state ?? '') ? found : undefined;
  });
  expect(task.status?.message).toContain('nosuchuser');
});

test('a command that does not exist fails the task and names the command', async () => {
  system.kubectl(['create', '-f', '-'], manifest('nowhere', 'command: [no-such-command]'));
  const task = await eventually('the task to end', async () => {
    const found = await system.client.get(Task, { namespace: 'default', name: 'nowhere' });
    return found?.status?.state === 'Failed' ? found : undefined;
  });
  expect(task.status?.reason).toBe('ContainerLaunchFailed');
  expect(task.status?.message).toContain('no-such-command');
});

test('a field that is declared but not implemented yet is refused by name, not ignored', async () => {
  system.kubectl(
    ['create', '-f', '-'],
    manifest('csi', "command: ['true']\n  volumes:\n    - name: v\n      csi: { driver: d, volumeHandle: h }"),
  );
  const task = await eventually('the task to end', async () => {
    const found = await system.client.get(Task, { namespace: 'default', name: 'csi' });
    return found?.status?.state === 'Error' ? found : undefined;
  });
  expect(task.status?.reason).toBe('TaskInvalid');
  expect(task.status?.message).toMatch(/spec\.volumes\[0\]\.csi.*not implemented/);
});

describe('a request that is not a document', () => {
  test('of 10 MB is refused with 413 and the limit', async () => {
    const body = JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'big' },
      data: { x: 'x'.repeat(10_000_000) },
    });
    const answer = await post('/api/v1/namespaces/default/configmaps', Buffer.from(body));
    expect(answer.status).toBe(413);
    expect(answer.body).toMatch(/limit|too large/i);
  });

  test('of invalid UTF-8 is refused with 400', async () => {
    const answer = await post(
      '/api/v1/namespaces/default/configmaps',
      Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
    );
    expect(answer.status).toBe(400);
    expect(answer.body).toMatch(/UTF-8/);
  });

  test('of broken JSON is refused with 400 and the place', async () => {
    const answer = await post('/api/v1/namespaces/default/configmaps', Buffer.from('{"kind": "ConfigMap", '));
    expect(answer.status).toBe(400);
  });

  test('that is cut off in the middle does no harm', async () => {
    const { hostname, port } = new URL(config.server);
    await new Promise<void>((resolve) => {
      const socket = tlsConnect({ host: hostname, port: Number(port), ca: config.ca, servername: 'localhost' }, () => {
        socket.write(
          `POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${config.credentials?.token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"kind":`,
        );
        setTimeout(() => socket.destroy(), 50);
      });
      socket.once('close', () => resolve());
    });
    expect((await system.client.raw('GET', '/readyz')).status).toBe(200);
  });
});

test('a directory with one broken file applies the others and names the place of the error', async () => {
  await eventually('the good ones', async () =>
    (await system.client.get(Task, { namespace: 'default', name: 'good' })) &&
    (await system.client.get(Task, { namespace: 'default', name: 'also-good' }))
      ? true
      : undefined,
  );
  expect(system.output()).toMatch(/broken\.yaml:\d+:\d+: /);
  cpSync(join(manifests, 'good.yaml'), join(manifests, 'broken.yaml'));
  writeFileSync(join(manifests, 'broken.yaml'), manifest('mended', "command: ['true']"));
  await eventually(
    'the mended one',
    async () => await system.client.get(Task, { namespace: 'default', name: 'mended' }),
  );
  rmSync(join(manifests, 'broken.yaml'));
  await eventually('the removed one to be pruned', async () =>
    (await system.client.get(Task, { namespace: 'default', name: 'mended' })) === undefined ? true : undefined,
  );
});

function manifest(name: string, container: string): string {
  return `apiVersion: tepui.dev/v1alpha1\nkind: Task\nmetadata:\n  name: ${name}\nspec:\n  containers:\n    - name: main\n      ${container}\n`;
}

function post(path: string, body: Buffer): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${config.credentials?.token}`,
      'content-type': 'application/json',
      'content-length': body.length,
    };
    const sent = request(
      new URL(path, config.server),
      { method: 'POST', headers, ca: config.ca, servername: 'localhost', agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
