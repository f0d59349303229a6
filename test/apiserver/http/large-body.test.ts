import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { configMap, configMaps, startTestServer, type TestServer } from '../server-fixture.ts';

let api: TestServer;

beforeAll(async () => {
  api = await startTestServer();
});

afterAll(() => api.close());

const tenMegabytes = Buffer.from(JSON.stringify(configMap('big', { text: 'x'.repeat(10_000_000) })));

/** Sends the whole body without a look at the answer, as plain clients do. */
function post(chunked: boolean, token = api.token): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const length = chunked ? {} : { 'content-length': tenMegabytes.length };
    const sent = request(new URL(configMaps, api.server.url), {
      method: 'POST',
      ca: api.ca,
      agent: false,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...length },
    });
    sent.on('error', reject);
    sent.on('response', async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve({ status: response.statusCode, text });
    });
    for (let at = 0; at < tenMegabytes.length; at += 65_536) sent.write(tenMegabytes.subarray(at, at + 65_536));
    sent.end();
  });
}

test.each([
  ['with its length told', false],
  ['in chunks', true],
])('a client that sends 10 MB %s reads the 413, every time', async (_how, chunked) => {
  for (let round = 0; round < 5; round++) {
    const { status, text } = await post(chunked);
    expect(status).toBe(413);
    expect(JSON.parse(text)).toMatchObject({ kind: 'Status', reason: 'RequestEntityTooLarge', code: 413 });
  }
});

test('a client that does not look for an answer before it has sent all reads the 413 too', async () => {
  const socket = connect({ host: '127.0.0.1', port: api.server.port, ca: api.ca });
  const failures: unknown[] = [];
  socket.on('error', (error) => failures.push(error));
  const head = `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${api.token}\r\n`;
  socket.write(`${head}Content-Type: application/json\r\nContent-Length: ${tenMegabytes.length}\r\n\r\n`);
  for (let at = 0; at < tenMegabytes.length; at += 1_000_000) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => socket.write(tenMegabytes.subarray(at, at + 1_000_000), resolve));
  }
  let text = '';
  for await (const chunk of socket) text += chunk;
  expect(failures).toEqual([]);
  expect(text).toMatch(/^HTTP\/1.1 413 [\s\S]*"reason":"RequestEntityTooLarge"/);
});

test('and without a token the 401', async () => {
  expect((await post(true, 'nobody')).status).toBe(401);
});

test.each([
  ['at once', ['-H', 'Expect:']],
  ['after 100-continue', []],
])('curl that sends it %s reads the 413 too', async (_how, more) => {
  const body = join(api.dataDir, 'big.json');
  const ca = join(api.dataDir, 'ca.pem');
  writeFileSync(body, tenMegabytes);
  writeFileSync(ca, api.ca);
  const args = [
    '-sS',
    '--cacert',
    ca,
    '-H',
    `Authorization: Bearer ${api.token}`,
    '-H',
    'Content-Type: application/json',
  ];
  const { stdout } = await promisify(execFile)('curl', [
    ...args,
    ...more,
    '-w',
    '\n%{http_code}',
    '--data-binary',
    `@${body}`,
    `${api.server.url}${configMaps}`,
  ]);
  expect(stdout).toMatch(/"reason":"RequestEntityTooLarge"[\s\S]*\n413$/);
});
