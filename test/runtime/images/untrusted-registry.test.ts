import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseDockerConfig } from '../../../runtime/images/index.ts';
import { type ImageBed, makeImageBed } from './support/bed.ts';
import { digestOf, writeLayout } from './support/layout.ts';
import { tar } from './support/tar.ts';
import { suiteWith } from './support/tools.ts';

const suite = suiteWith(describe, describe.skip);

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: Buffer | string;
}

suite('a registry that is not to be trusted', () => {
  let bed: ImageBed;
  let server: Server;
  let other: Server;
  let host: string;
  let otherHost: string;
  let answer: (request: IncomingMessage) => {
    status: number;
    headers?: Record<string, string>;
    body?: Buffer | string;
  };
  const seen: { host: string; url: string; authorization: string | undefined }[] = [];

  beforeAll(async () => {
    bed = await makeImageBed();
    const serve = async (name: string): Promise<[Server, string]> => {
      const listener = createServer((request, response) => {
        seen.push({ host: name, url: request.url ?? '', authorization: request.headers.authorization });
        const { status, headers = {}, body } = answer(request);
        response.writeHead(status, headers).end(body);
      });
      await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
      return [listener, `127.0.0.1:${(listener.address() as { port: number }).port}`];
    };
    [server, host] = await serve('registry');
    [other, otherHost] = await serve('other');
    bed.configure({
      registries: [
        { prefix: host, plainHttp: true },
        { prefix: otherHost, plainHttp: true },
      ],
    });
  }, 60_000);
  afterAll(async () => {
    for (const listener of [server, other]) {
      listener?.closeAllConnections();
      listener?.close();
    }
    await bed?.close();
  });

  const provision = async (options: { credentials?: string } = {}) => {
    const images = await bed.open({ directory: join(bed.directory, `s${Math.random()}`), retryDelaysMs: [] });
    try {
      const credentials = options.credentials ? [parseDockerConfig(options.credentials, 'test')] : [];
      return await images.provision({ reference: `${host}/x:1`, holder: 'h', credentials });
    } finally {
      await images.close();
    }
  };

  test('gets logins only for itself: not the place that it redirects to, and no token of another repository', async () => {
    const blob = tar([{ path: 'x', content: 'x' }]);
    const layout = join(bed.directory, 'layout');
    const digest = writeLayout(layout, 'x', [{ blob }]);
    const read = (name: string) => readFileSync(join(layout, 'blobs/sha256', name.slice('sha256:'.length)));
    answer = ({ url = '', headers }): Answer => {
      if (url.startsWith('/token')) return { status: 200, body: JSON.stringify({ token: 'tok' }) };
      if (url.startsWith('/stored/')) return { status: 200, body: read(url.slice('/stored/'.length)) };
      if (headers.authorization !== 'Bearer tok') {
        const realm = `Bearer realm="http://${host}/token",service="s",scope="repository:secrets:pull,push"`;
        return { status: 401, headers: { 'www-authenticate': realm } };
      }
      if (url.includes('/manifests/'))
        return { status: 200, headers: { 'docker-content-digest': digest }, body: read(digest) };
      return { status: 307, headers: { location: `http://${otherHost}/stored/${url.split('/').at(-1)}` } };
    };
    seen.length = 0;
    const auth = Buffer.from('me:secret').toString('base64');
    await provision({ credentials: JSON.stringify({ auths: { [host]: { auth } } }) });
    const token = seen.find(({ url }) => url.startsWith('/token'))!;
    expect(token.authorization).toBe(`Basic ${auth}`);
    expect(token.url).toContain('scope=repository%3Ax%3Apull');
    expect(token.url).not.toContain('secrets');
    const elsewhere = seen.filter((request) => request.host === 'other');
    expect(elsewhere.length).toBeGreaterThan(0);
    expect(elsewhere.map(({ authorization }) => authorization)).toEqual(elsewhere.map(() => undefined));
  });

  test.each<[string, Answer, RegExp]>([
    ['a redirect to a file', { status: 307, headers: { location: 'file:///etc/passwd' } }, /which is not HTTP/],
    [
      'a redirect to an unmarked host',
      { status: 307, headers: { location: 'http://127.0.0.2:9/x' } },
      /does not mark with plainHttp/,
    ],
    ['a redirect with a password', { status: 307, headers: { location: 'https://a:b@127.0.0.2/x' } }, /password in it/],
    ['redirects without end', { status: 307, headers: { location: '/v2/x/manifests/1' } }, /redirects without end/],
    ['a manifest without end', { status: 200, body: Buffer.alloc(5 * 2 ** 20, 0x20) }, /more than 4194304 bytes/],
    ['a manifest that is none', { status: 200, body: '<html>' }, /is not JSON/],
    ['schema 1', { status: 200, body: '{"schemaVersion":1}' }, /schema 1, which is not read/],
    [
      'both an index and a manifest',
      { status: 200, body: '{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}' },
      /both an index/,
    ],
    [
      'too many layers',
      {
        status: 200,
        body: JSON.stringify({
          schemaVersion: 2,
          config: descriptor(2),
          layers: Array.from({ length: 500 }, () => descriptor(1)),
        }),
      },
      /more than 480 layers/,
    ],
    [
      'a digest that is a path',
      {
        status: 200,
        body: JSON.stringify({
          schemaVersion: 2,
          config: { ...descriptor(2), digest: 'sha256:../../../etc/passwd' },
          layers: [],
        }),
      },
      /is no sha256 or sha512 digest/,
    ],
    [
      'a negative size',
      { status: 200, body: JSON.stringify({ schemaVersion: 2, config: descriptor(-1), layers: [] }) },
      /no number of bytes/,
    ],
    [
      'a huge configuration',
      { status: 200, body: JSON.stringify({ schemaVersion: 2, config: descriptor(2 ** 40), layers: [] }) },
      /config has more than/,
    ],
    [
      'a realm without TLS elsewhere',
      { status: 401, headers: { 'www-authenticate': 'Bearer realm="ftp://x/"' } },
      /is not HTTPS/,
    ],
    [
      'a challenge of no known kind',
      { status: 401, headers: { 'www-authenticate': 'Negotiate' } },
      /login of an unknown kind/,
    ],
    [
      'another digest than it said',
      { status: 200, headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` }, body: '{}' },
      /has the digest/,
    ],
  ])('with %s is refused', async (_name, response, reason) => {
    answer = () => response;
    await expect(provision()).rejects.toThrow(reason);
  });

  test('that knows no HEAD is asked for the manifest itself', async () => {
    const layout = join(bed.directory, 'headless');
    const digest = writeLayout(layout, 'x', [{ blob: tar([{ path: 'x', content: 'x' }]) }]);
    const read = (name: string) => readFileSync(join(layout, 'blobs/sha256', name.slice('sha256:'.length)));
    answer = ({ url = '', method }): Answer => {
      if (method === 'HEAD') return { status: 405 };
      return { status: 200, body: read(url.includes('/manifests/') ? digest : url.split('/').at(-1)!) };
    };
    await expect(provision()).resolves.toMatchObject({ digest });
  });

  test('that sends more, less or other bytes than it announced is refused', async () => {
    const blob = tar([{ path: 'x', content: 'x'.repeat(5000) }]);
    const layout = join(bed.directory, 'lies');
    const digest = writeLayout(layout, 'x', [{ blob }]);
    const layer = digestOf(blob);
    const read = (name: string) => readFileSync(join(layout, 'blobs/sha256', name.slice('sha256:'.length)));
    const lie = (change: (bytes: Buffer) => Buffer) => {
      answer = ({ url = '' }) => {
        const name = url.split('/').at(-1)!;
        if (url.includes('/manifests/')) return { status: 200, body: read(digest) };
        return { status: 200, body: name === layer ? change(read(name)) : read(name) };
      };
    };
    lie((bytes) => bytes);
    await expect(provision()).resolves.toBeDefined();
    lie((bytes) => Buffer.concat([bytes, Buffer.alloc(512)]));
    await expect(provision()).rejects.toThrow('is longer than its');
    lie((bytes) => bytes.subarray(0, 3000));
    await expect(provision()).rejects.toThrow('of 6656 bytes');
    lie((bytes) => Buffer.concat([bytes.subarray(0, 600), Buffer.from([bytes[600]! ^ 1]), bytes.subarray(601)]));
    await expect(provision()).rejects.toThrow(/digest|its content is/);
  });

  function descriptor(size: number) {
    return { mediaType: '', digest: `sha256:${createHash('sha256').digest('hex')}`, size };
  }
});
