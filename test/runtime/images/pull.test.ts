/** Pulls that are disturbed: cut connections, several at once, callers that give up, processes that are killed. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Images, parseDockerConfig } from '../../../runtime/images/index.ts';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { type ImageBed, makeImageBed } from './support/bed.ts';
import { digestOf, writeLayout } from './support/layout.ts';
import { startRegistry, type TestRegistry } from './support/registry.ts';
import { startProxy, type TestProxy } from './support/slow-proxy.ts';
import { tar } from './support/tar.ts';
import { suiteWith } from './support/tools.ts';

const suite = suiteWith(describe, describe.skip);
const MIB = 2 ** 20;

suite('a pull that is disturbed', () => {
  let bed: ImageBed;
  let registry: TestRegistry;
  let proxy: TestProxy;
  let serial = 0;
  const layers = Array.from({ length: 4 }, (_, index) =>
    tar([{ path: `file-${index}`, content: randomBytes(3 * MIB) }]),
  );

  beforeAll(async () => {
    bed = await makeImageBed();
    registry = await startRegistry(join(bed.directory, 'registry'));
    const layout = join(bed.directory, 'big');
    writeLayout(
      layout,
      'x',
      layers.map((blob) => ({ blob })),
    );
    registry.push(`oci:${layout}:x`, 'big:1');
    proxy = await startProxy(registry.host);
    bed.configure({ registries: [{ prefix: proxy.host, plainHttp: true }] });
  }, 120_000);
  afterAll(async () => {
    await proxy?.close();
    await registry?.close();
    await bed?.close();
  }, 60_000);

  const freshStore = (options = {}): Promise<Images> =>
    bed.open({ directory: join(bed.directory, `store-${++serial}`), ...options });
  const reference = (): string => `${proxy.host}/big:1`;
  const isWhole = (paths: string[]): boolean =>
    paths.every((path, index) => {
      const number = layers.length - 1 - index;
      return statSync(join(path, `file-${number}`)).size === 3 * MIB;
    });
  const blobRequests = (): string[] =>
    proxy.requests.filter((line) => line.startsWith('GET') && line.includes('/blobs/'));

  test('goes on where the connection was cut, as often as it makes progress', async () => {
    const images = await freshStore();
    proxy.cutAfter(1.2 * MIB, 7);
    const image = await images.provision({ reference: reference(), holder: 'h' });
    proxy.cutAfter(0, 0);
    expect(isWhole(image.layers)).toBe(true);
    await images.close();
  }, 60_000);

  test('is given up when nothing comes any more, with what to expect of another try', async () => {
    const images = await freshStore({ retryDelaysMs: [10, 10] });
    proxy.cutAfter(0, 1000);
    await expect(images.provision({ reference: reference(), holder: 'h' })).rejects.toMatchObject({
      name: 'ImagePullFailed',
      retryable: true,
      message: expect.stringContaining('closed the connection'),
    });
    proxy.cutAfter(0, 0);
    await expect(images.provision({ reference: reference(), holder: 'h' })).resolves.toBeDefined();
    await images.close();
  }, 60_000);

  test('that stands still is noticed', async () => {
    const images = await freshStore({ retryDelaysMs: [10], stallMs: 400 });
    proxy.throttle(0);
    await expect(images.provision({ reference: reference(), holder: 'h' })).rejects.toMatchObject({
      retryable: true,
      message: expect.stringMatching(/stands still|did not answer/),
    });
    proxy.throttle(undefined);
    await images.close();
  }, 60_000);

  test('is done once for all who want the image at the same time', async () => {
    const images = await freshStore();
    proxy.requests.length = 0;
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, index) => images.provision({ reference: reference(), holder: `h${index}` })),
    );
    expect(all.every(({ layers: paths }) => isWhole(paths))).toBe(true);
    expect(blobRequests()).toHaveLength(1 + layers.length);
    expect(images.list()[0]?.holders).toHaveLength(8);
    await images.close();
  }, 60_000);

  test('shares layers between different images', async () => {
    const layout = join(bed.directory, 'sharing');
    writeLayout(
      layout,
      'x',
      [...layers, tar([{ path: 'more' }])].map((blob) => ({ blob })),
    );
    registry.push(`oci:${layout}:x`, 'other:1');
    const images = await freshStore();
    proxy.requests.length = 0;
    await Promise.all(
      ['big:1', 'other:1'].map((name) =>
        images.provision({ reference: `${proxy.host}/${name}`, holder: name.slice(0, 3) }),
      ),
    );
    // Two configurations, and each layer once.
    expect(blobRequests()).toHaveLength(2 + layers.length + 1);
    await images.close();
  }, 60_000);

  test('goes on for the others when one gives up, and ends when all have', async () => {
    const images = await freshStore();
    proxy.throttle(6 * MIB);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = images.provision({ reference: reference(), holder: 'one', signal: one.signal });
    const second = images.provision({
      reference: reference(),
      holder: 'two',
      signal: two.signal,
      onProgress: ({ doneBytes }) => doneBytes > 0 && one.abort(new Error('one gave up')),
    });
    await expect(first).rejects.toThrow('one gave up');
    expect(isWhole((await second).layers)).toBe(true);
    await images.close();

    const again = await freshStore();
    const third = again.provision({
      reference: reference(),
      holder: 'three',
      signal: two.signal,
      onProgress: ({ doneBytes }) => doneBytes > 0 && two.abort(new Error('all gave up')),
    });
    await expect(third).rejects.toThrow('all gave up');
    proxy.throttle(undefined);
    expect(again.list()).toEqual([]);
    await again.close();
    const store = join(bed.directory, `store-${serial}`);
    expect(readdirSync(join(store, 'staging'))).toEqual([]);
  }, 60_000);

  test('ends when the store is closed', async () => {
    const images = await freshStore();
    proxy.throttle(MIB);
    const pulled = images.provision({ reference: reference(), holder: 'h' });
    const outcome = expect(pulled).rejects.toThrow('the agent stops');
    await sleep(200);
    await images.close();
    await outcome;
    proxy.throttle(undefined);
  }, 60_000);

  test('leaves nothing behind when the process is killed, and what was whole need not come again', async () => {
    const store = join(bed.directory, 'killed');
    const binary = await buildLauncher();
    const script = new URL('./support/pulling-process.ts', import.meta.url).pathname;
    const run = (killAt: number | undefined): Promise<string[]> =>
      new Promise((resolve) => {
        const child = spawn(process.execPath, [script, store, bed.registriesFile, binary, reference()], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const lines: string[] = [];
        createInterface({ input: child.stdout }).on('line', (line) => {
          lines.push(line);
          const [phase, done] = line.split(' ');
          if (killAt !== undefined && phase === 'Pulling' && Number(done) >= killAt) child.kill('SIGKILL');
        });
        child.once('close', () => resolve(lines));
      });
    proxy.throttle(8 * MIB);
    for (const killAt of [1, 2 * MIB, 7 * MIB]) {
      await run(killAt);
      // Launchers of a killed agent end by themselves: nothing goes on writing.
      for (const name of readdirSync(join(store, 'layers')))
        expect(readdirSync(join(store, 'layers', name)).sort()).toEqual(['fs', 'layer.json']);
    }
    const isLayer = (name: string): boolean =>
      (
        JSON.parse(readFileSync(join(store, 'layers', name, 'layer.json'), 'utf8')) as { data: { id: string } }
      ).data.id.startsWith('sha256:');
    const whole = readdirSync(join(store, 'layers')).filter(isLayer).length;
    proxy.throttle(undefined);
    proxy.requests.length = 0;
    const lines = await run(undefined);
    expect(lines.at(-1)).toBe('done 4');
    expect(blobRequests()).toHaveLength(1 + layers.length - whole);
    expect(readdirSync(join(store, 'staging'))).toEqual([]);
    // An earlier boot's layers that were never synced are not trusted; synced ones are.
    const images = await bed.open({ directory: store, bootId: 'another-boot' });
    expect(images.list()).toHaveLength(1);
    await images.close();
    for (const name of readdirSync(join(store, 'layers'))) {
      const file = join(store, 'layers', name, 'layer.json');
      const record = JSON.parse(readFileSync(file, 'utf8')) as { data: { isSynced: boolean } };
      expect(record.data.isSynced).toBe(true);
      record.data.isSynced = false;
      writeFileSync(file, JSON.stringify(record));
    }
    const distrusting = await bed.open({ directory: store, bootId: 'a-third-boot' });
    expect(distrusting.list()).toEqual([]);
    expect(readdirSync(join(store, 'layers'))).toEqual([]);
    await distrusting.close();
  }, 120_000);
});

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
    ['a manifest without end', { status: 200, body: Buffer.alloc(5 * MIB, 0x20) }, /more than 4194304 bytes/],
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
