import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { createApiClient } from '../../../../controllers/machinery/client/api-client.ts';
import type { ApiObject, WatchEvent } from '../../../../controllers/machinery/client/client.ts';
import { isAlreadyExists, isConflict, isInvalid } from '../../../../controllers/machinery/client/errors.ts';
import { KubeconfigError, loadClusterConfig } from '../../../../controllers/machinery/client/kubeconfig.ts';
import { ConfigMap, Framework, Namespace } from '../../../../controllers/machinery/client/resources.ts';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
let scratch: string;

beforeAll(async () => {
  server = await startTestServer();
  scratch = mkdtempSync(join(tmpdir(), 'tepui-client-'));
});

afterAll(async () => {
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const key = (name: string) => ({ namespace: 'default', name });

test('an object can be made, read, changed and deleted', async () => {
  const { client } = server;
  const created = await client.create(ConfigMap, { metadata: key('a'), data: { x: '1' } });
  expect(created.metadata?.uid).toBeTruthy();
  expect(await client.get(ConfigMap, key('a'))).toMatchObject({ data: { x: '1' } });
  await client.update(ConfigMap, { ...created, data: { x: '2' } });
  await client.mergePatch(ConfigMap, key('a'), { data: { y: '3' } });
  await client.jsonPatch(ConfigMap, key('a'), [
    { op: 'test', path: '/data/x', value: '2' },
    { op: 'remove', path: '/data/x' },
  ]);
  expect((await client.get(ConfigMap, key('a')))?.data).toEqual({ y: '3' });
  expect(await client.delete(ConfigMap, key('a'))).toBe(true);
  expect(await client.delete(ConfigMap, key('a'))).toBe(false);
  expect(await client.get(ConfigMap, key('a'))).toBeUndefined();
});

test('a stale write, a second create and a bad document are told apart', async () => {
  const { client } = server;
  const created = await client.create(ConfigMap, { metadata: key('b') });
  await client.mergePatch(ConfigMap, key('b'), { data: { x: '1' } });
  const failures = await Promise.all(
    [
      client.update(ConfigMap, { ...created, data: { x: '2' } }),
      client.create(ConfigMap, { metadata: key('b') }),
      client.create(Framework, { metadata: key('b'), spec: { replicas: -1 } }),
      client.delete(ConfigMap, key('b'), { uid: 'another' }),
    ].map((call: Promise<unknown>) =>
      call.then(
        () => undefined,
        (error: unknown) => error,
      ),
    ),
  );
  expect(failures.map((error) => [isConflict(error), isAlreadyExists(error), isInvalid(error)])).toEqual([
    [true, false, false],
    [false, true, false],
    [false, false, true],
    [true, false, false],
  ]);
});

test('lists can be paged and items always say what they are', async () => {
  const { client } = server;
  await client.create(Namespace, { metadata: { name: 'paged' } });
  for (const name of ['a', 'b', 'c']) await client.create(ConfigMap, { metadata: { namespace: 'paged', name } });
  const first = await client.list(ConfigMap, { namespace: 'paged', limit: 2 });
  const second = await client.list(ConfigMap, { namespace: 'paged', limit: 2, continue: first.metadata.continue });
  expect([...first.items, ...second.items].map(({ kind, metadata }) => `${kind} ${metadata?.name}`)).toEqual([
    'ConfigMap a',
    'ConfigMap b',
    'ConfigMap c',
  ]);
  expect(second.metadata.continue).toBeFalsy();
});

test('a watch shows what happens, until it is ended', async () => {
  const { client } = server;
  const { metadata } = await client.list(ConfigMap, { namespace: 'default' });
  const abort = new AbortController();
  const events: WatchEvent<ApiObject>[] = [];
  const watching = (async () => {
    const options = {
      namespace: 'default',
      fieldSelector: 'metadata.name=w',
      resourceVersion: metadata.resourceVersion,
      signal: abort.signal,
    };
    for await (const event of client.watch(ConfigMap, options)) {
      if (event.type !== 'BOOKMARK') events.push(event as WatchEvent<ApiObject>);
      if (event.type === 'DELETED') abort.abort();
    }
  })();
  await client.create(ConfigMap, { metadata: key('w') });
  await client.create(ConfigMap, { metadata: key('other') });
  await client.mergePatch(ConfigMap, key('w'), { data: { text: 'Grüße €😀' } });
  await client.delete(ConfigMap, key('w'));
  await watching;
  expect(events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
  expect(events[1]!.object).toMatchObject({ data: { text: 'Grüße €😀' } });
});

test('raw calls give status and body, JSON or not', async () => {
  expect(await server.client.raw('GET', '/version')).toMatchObject({
    status: 200,
    body: { gitVersion: expect.any(String) },
  });
  expect(await server.client.raw('GET', '/readyz')).toEqual({ status: 200, body: 'ok' });
  expect((await server.client.raw('GET', '/no/such/path')).status).toBe(404);
});

test('a wrong token is refused', async () => {
  const config = await loadClusterConfig({ kubeconfig: server.kubeconfigPath });
  const client = createApiClient({ ...config, credentials: { token: 'wrong' } });
  await expect(client.list(Namespace)).rejects.toMatchObject({ code: 401 });
  await client.close();
});

test('a server whose certificate is not trusted is not talked to', async () => {
  const { ca: _ca, ...config } = await loadClusterConfig({ kubeconfig: server.kubeconfigPath });
  const client = createApiClient(config);
  await expect(client.list(Namespace)).rejects.toMatchObject({ name: 'ApiUnreachableError' });
  await client.close();
});

/** The server's kubeconfig with another user and with files in place of inlined data. */
function variant(user: Record<string, unknown>): { file: string; token: string } {
  const config = parse(readFileSync(server.kubeconfigPath, 'utf8'));
  const token = config.users[0].user.token as string;
  writeFileSync(
    join(scratch, 'ca.crt'),
    Buffer.from(config.clusters[0].cluster['certificate-authority-data'], 'base64'),
  );
  config.clusters[0].cluster = { server: config.clusters[0].cluster.server, 'certificate-authority': 'ca.crt' };
  config.users[0].user = user;
  const file = join(scratch, 'config');
  writeFileSync(file, stringify(config));
  return { file, token };
}

test('a token file is read again when the server refuses the token', async () => {
  const { file, token } = variant({ tokenFile: 'token' });
  writeFileSync(join(scratch, 'token'), 'expired');
  const client = createApiClient(await loadClusterConfig({ kubeconfig: file }));
  await expect(client.list(Namespace)).rejects.toMatchObject({ code: 401 });
  writeFileSync(join(scratch, 'token'), `${token}\n`);
  await expect(client.list(Namespace)).resolves.toBeTruthy();
  await client.close();
});

test('an exec plugin is asked for the token', async () => {
  const { file, token } = variant({
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: join(scratch, 'plugin'),
      env: [{ name: 'WHO', value: 'me' }],
    },
  });
  const answer = `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"${token}"}}`;
  writeFileSync(
    join(scratch, 'plugin'),
    `#!/bin/sh\ntest "$WHO" = me && test -n "$KUBERNETES_EXEC_INFO" && echo '${answer}'\n`,
    { mode: 0o755 },
  );
  const client = createApiClient(await loadClusterConfig({ kubeconfig: file }));
  await expect(client.list(Namespace)).resolves.toBeTruthy();
  await client.close();
});

test('several kubeconfig files are merged, the first one wins, missing ones are passed over', async () => {
  const other = join(scratch, 'other');
  writeFileSync(other, stringify({ 'current-context': 'tepui' }));
  const env = { KUBECONFIG: [join(scratch, 'missing'), other, server.kubeconfigPath].join(':') };
  expect((await loadClusterConfig({ env })).server).toBe(server.url);
});

test.each([
  ['no file at all', { HOME: '/nonexistent' }, 'no kubeconfig'],
  ['a file that is missing', { KUBECONFIG: '/nonexistent/config' }, '/nonexistent/config'],
])('%s is a sentence, not a stack', async (_title, env, message) => {
  const error = await loadClusterConfig({ env }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(KubeconfigError);
  expect((error as Error).message).toContain(message);
});

test('a kubeconfig that is wrong names the place', async () => {
  const file = join(scratch, 'broken');
  const load = async (content: string) => {
    writeFileSync(file, content);
    return loadClusterConfig({ kubeconfig: file }).then(
      () => '',
      (error: Error) => error.message,
    );
  };
  expect(await load('a: [')).toContain(file);
  expect(await load('hello')).toContain('not a kubeconfig');
  expect(await load('kind: Config')).toContain('current-context is not set');
  expect(await load('current-context: x')).toContain('no context named "x"');
  expect(
    await load(
      '{current-context: x, contexts: [{name: x, context: {cluster: y}}], clusters: [{name: y, cluster: {server: nope}}]}',
    ),
  ).toContain('server is not a URL');
});

test('the common ways in load nothing of client-node', () => {
  const module = (name: string) =>
    JSON.stringify(join(import.meta.dirname, '../../../../controllers/machinery/client', name));
  const program = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    const { loadClusterConfig } = await import(${module('kubeconfig.ts')});
    const { createApiClient } = await import(${module('api-client.ts')});
    const config = await loadClusterConfig({ kubeconfig: ${JSON.stringify(server.kubeconfigPath)} });
    const client = createApiClient(config, { requestTimeoutMs: 100 });
    const atFirst = loaded.join();
    if (atFirst.includes('undici')) throw new Error('sockets are prepared before the first request');
    // The server is of the process that waits for this one: no answer comes, but the sockets are made.
    await client.raw('GET', '/version').catch(() => {});
    await client.close();
    console.log(loaded.join('\\n'));`;
  const loaded = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect(loaded).toContain('undici/lib/dispatcher/pool.js');
  expect(loaded).not.toContain('@kubernetes/client-node');
  expect(loaded).not.toContain('undici/index.js');
});
