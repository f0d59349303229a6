import { connect as connectTcp } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { configMap, configMaps, startTestServer, type TestServer } from '../server-fixture.ts';

let api: TestServer;

beforeAll(async () => {
  api = await startTestServer({ limits: { headersTimeoutMs: 400, requestTimeoutMs: 600, checkIntervalMs: 100 } });
});

afterAll(() => api.close());

/** Writes raw bytes and gives back everything that comes until the connection ends. */
async function raw(write: (socket: TLSSocket) => void): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: api.server.port, ca: api.ca });
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise<void>((resolve) => {
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
  });
  write(socket);
  await closed;
  return Buffer.concat(chunks).toString();
}

const json = { 'content-type': 'application/json' };

describe('bodies', () => {
  test('that are too large are refused with 413, and the client gets to read it', async () => {
    const { status, body } = await api.call('POST', configMaps, Buffer.alloc(10 * 1024 * 1024, 0x61), json);
    expect(status).toBe(413);
    expect(body).toMatchObject({ kind: 'Status', reason: 'RequestEntityTooLarge' });
    expect(body.message).toContain('limit is 3145728 bytes');
  });

  test('that are too large are found out also without a length', async () => {
    const headers = { ...json, 'transfer-encoding': 'chunked' };
    const answer = await api.call('POST', configMaps, Buffer.alloc(5 * 1024 * 1024, 0x61), headers);
    expect(answer.body).toMatchObject({ code: 413 });
  });

  test('of invalid UTF-8 are refused with the place', async () => {
    const bytes = Buffer.concat([Buffer.from('{"a":\n"é'), Buffer.of(0xff), Buffer.from('"}')]);
    const { status, body } = await api.call('POST', configMaps, bytes, json);
    expect(status).toBe(400);
    expect(body.message).toBe('the body is not valid UTF-8: bad byte 0xff at offset 9 (line 2)');
  });

  test('of invalid JSON are refused with the place', async () => {
    const { status, body } = await api.call('POST', configMaps, '{"kind": "ConfigMap",\n "x" 1}', json);
    expect(status).toBe(400);
    expect(body.message).toMatch(/not valid JSON: .* \(line 2 column 6\)/);
  });

  test('of invalid YAML are refused with the place', async () => {
    const { status, body } = await api.call('POST', configMaps, 'a: [1\nb: 2', { 'content-type': 'application/yaml' });
    expect(status).toBe(400);
    expect(body.message).toMatch(/not valid YAML: .*line 2/);
  });

  test('may be YAML', async () => {
    const text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {a: "1"}\n';
    const made = await api.call('POST', configMaps, text, {
      'content-type': 'application/yaml',
      accept: 'application/yaml',
    });
    expect(made.status).toBe(201);
    expect(made.headers['content-type']).toBe('application/yaml');
    expect(made.text).toContain('name: yaml\n');
  });

  test('nested without end, empty, or that are no object are 400', async () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    expect((await api.call('POST', configMaps, deep, json)).body.message).toContain('nested');
    expect((await api.call('POST', configMaps, ' ', json)).body.message).toContain('empty');
    for (const text of ['[]', '"x"', 'null', '{"__proto__": {}}']) {
      expect((await api.call('POST', configMaps, text, json)).status).toBe(400);
    }
  });

  test('of an unknown format are 415', async () => {
    const { status, body } = await api.call('POST', configMaps, 'x', { 'content-type': 'text/csv' });
    expect(status).toBe(415);
    expect(body.reason).toBe('UnsupportedMediaType');
  });

  test('that end too early change nothing and harm nobody', async () => {
    const text = JSON.stringify(configMap('half'));
    await raw((socket) => {
      socket.write(
        `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${api.token}\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text.slice(0, 20)}`,
      );
      setTimeout(() => socket.destroy(), 50);
    });
    expect((await api.call('GET', `${configMaps}/half`)).status).toBe(404);
  });
});

describe('slow and broken clients', () => {
  test('that do not finish their headers get 408', async () => {
    expect(await raw((socket) => socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n'))).toMatch(/^HTTP\/1.1 408/);
  });

  test('that do not finish their body get 408 or are cut off', async () => {
    const head = `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${api.token}\r\nContent-Length: 100\r\n\r\n{`;
    expect(await raw((socket) => socket.write(head))).toMatch(/^(HTTP\/1.1 40[08]|$)/);
  });

  test('that speak something else than HTTP get 400', async () => {
    expect(await raw((socket) => socket.write('hello\r\n\r\n'))).toMatch(/^HTTP\/1.1 400[\s\S]*"kind":"Status"/);
  });

  test('with endless headers get 431', async () => {
    const answer = await raw((socket) => socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`));
    expect(answer).toMatch(/^HTTP\/1.1 431/);
  });

  test('that speak plain HTTP to the TLS port are disconnected', async () => {
    const socket = connectTcp(api.server.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await new Promise((resolve) => socket.on('close', resolve));
  });

  test('of TLS 1.1 are refused', async () => {
    const socket = connect({
      host: '127.0.0.1',
      port: api.server.port,
      ca: api.ca,
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1',
    });
    await expect(
      new Promise((resolve, reject) => socket.on('secureConnect', resolve).on('error', reject)),
    ).rejects.toThrow();
  });
});

describe('who may ask', () => {
  test('nobody without a token, but for health and version', async () => {
    const anonymous = { authorization: '' };
    for (const path of [configMaps, '/api', '/metrics', '/openapi/v3', '/nonsense']) {
      const { status, body } = await api.call('GET', path, undefined, anonymous);
      expect(`${path} ${status} ${body.reason}`).toBe(`${path} 401 Unauthorized`);
    }
    for (const path of ['/livez', '/readyz', '/healthz', '/version']) {
      expect((await api.call('GET', path, undefined, anonymous)).status).toBe(200);
    }
    expect((await api.call('GET', '/api', undefined, { authorization: 'Bearer nobody' })).status).toBe(401);
  });

  test('and it can be reviewed', async () => {
    const review = (group: string, kind: string, spec?: object) =>
      api.call('POST', `/apis/${group}/v1/${kind.toLowerCase()}s`, {
        apiVersion: `${group}/v1`,
        kind,
        metadata: {},
        spec,
      });
    const known = await review('authentication.k8s.io', 'TokenReview', { token: api.token });
    expect(known.status).toBe(201);
    expect(known.body.status).toMatchObject({ authenticated: true, user: { username: 'tepui-admin' } });
    expect(
      (await review('authentication.k8s.io', 'TokenReview', { token: 'x' })).body.status.authenticated,
    ).toBeUndefined();
    expect((await review('authentication.k8s.io', 'SelfSubjectReview')).body.status.userInfo.username).toBe(
      'tepui-admin',
    );
    const access = { resourceAttributes: { verb: 'get', resource: 'secrets' } };
    expect((await review('authorization.k8s.io', 'SelfSubjectAccessReview', access)).body.status.allowed).toBe(true);
    const nobody = { ...access, user: 'system:anonymous' };
    expect((await review('authorization.k8s.io', 'SubjectAccessReview', nobody)).body.status.allowed).toBe(false);
  });
});

describe('health', () => {
  test('tells each check on request, and can leave one out', async () => {
    expect((await api.call('GET', '/readyz')).text).toBe('ok');
    const verbose = (await api.call('GET', '/readyz?verbose&exclude=store')).text;
    expect(verbose).toContain('[+]store excluded: ok\n');
    expect(verbose).toContain('readyz check passed');
    expect((await api.call('GET', '/readyz/store')).text).toBe('ok');
    expect((await api.call('GET', '/readyz/nothing')).status).toBe(404);
  });

  test('has metrics under the genuine names', async () => {
    await api.call('GET', configMaps);
    const { text } = await api.call('GET', '/metrics');
    expect(text).toMatch(
      /apiserver_request_total\{verb="list",group="",version="v1",resource="configmaps".*code="200"\} \d+/,
    );
    expect(text).toContain('apiserver_request_duration_seconds_bucket');
    expect(text).toMatch(/apiserver_storage_objects\{resource="namespaces"\} 4/);
    expect(text).toMatch(/apiserver_current_inflight_requests 1\n/);
  });
});

describe('answers', () => {
  test('are compressed when they are large and the client can read that', async () => {
    await api.call('POST', configMaps, configMap('large', { text: 'x'.repeat(300_000) }));
    const plain = await api.call('GET', `${configMaps}/large`);
    expect(plain.headers['content-encoding']).toBeUndefined();
    const { request } = await import('node:https');
    const packed = await new Promise<{ encoding: string | undefined; data: Buffer }>((resolve, reject) => {
      const headers = { authorization: `Bearer ${api.token}`, 'accept-encoding': 'gzip' };
      const sent = request(
        `${api.server.url}${configMaps}/large`,
        { ca: api.ca, headers, agent: false },
        async (response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk as Buffer);
          resolve({ encoding: response.headers['content-encoding'], data: Buffer.concat(chunks) });
        },
      );
      sent.on('error', reject).end();
    });
    expect(packed.encoding).toBe('gzip');
    expect(packed.data.length).toBeLessThan(10_000);
    expect(JSON.parse(gunzipSync(packed.data).toString()).metadata.name).toBe('large');
  });

  test('are JSON even when protobuf is asked for first, and 406 when nothing else will do', async () => {
    const accept = 'application/vnd.kubernetes.protobuf, application/json';
    expect((await api.call('GET', configMaps, undefined, { accept })).headers['content-type']).toBe('application/json');
    const only = await api.call('GET', configMaps, undefined, { accept: 'application/vnd.kubernetes.protobuf' });
    expect(only.body).toMatchObject({ code: 406, reason: 'NotAcceptable' });
  });

  test('can be a Table, or metadata only', async () => {
    const table = await api.call('GET', configMaps, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
    });
    expect(table.body).toMatchObject({ kind: 'Table', columnDefinitions: expect.any(Array), rows: expect.any(Array) });
    const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
    const partial = await api.call('GET', configMaps, undefined, { accept });
    expect(partial.body.kind).toBe('PartialObjectMetadataList');
    expect(Object.keys(partial.body.items[0])).toEqual(['kind', 'apiVersion', 'metadata']);
  });

  test('to unknown paths and methods are a Status', async () => {
    expect((await api.call('GET', '/apis/no.such/v1/things')).body).toMatchObject({ code: 404, reason: 'NotFound' });
    expect((await api.call('GET', '/nothing')).body).toMatchObject({ code: 404 });
    expect((await api.call('PUT', configMaps, {})).body).toMatchObject({ code: 405, reason: 'MethodNotAllowed' });
    expect((await api.call('DELETE', '/api/v1/namespaces')).status).toBe(405);
    expect((await api.call('GET', `${configMaps}/%zz`)).status).toBe(400);
    expect((await api.call('GET', `${configMaps}/yaml/scale`)).status).toBe(404);
  });
});
