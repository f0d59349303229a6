/** Fetching from a real web server into a real sandbox. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { FetchProgress } from '../../../runtime/fetcher/index.ts';
import { contentOf, type FetchBed, openBed, serve, tree, unavailable, type WebServer } from './harness.ts';

const when = unavailable ? test.skip : test;
let bed: FetchBed;
beforeAll(async () => {
  if (unavailable) return console.log(`skipped: ${unavailable}`);
  bed = await openBed({ allowedFilePaths: () => ['/usr/share/base-files', '/etc'] });
});
afterAll(() => bed?.close());

const servers: WebServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
async function web(listener: Parameters<typeof serve>[0]): Promise<WebServer> {
  const server = await serve(listener);
  servers.push(server);
  return server;
}

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');

describe('files', () => {
  when('belong to the task user, with the modes and the places that were asked for', async () => {
    const { url } = await web((request, response) => response.end(`content of ${request.url}`));
    const sandbox = await bed.fetch([
      `${url}/plain.txt?query`,
      { value: `${url}/tool`, executable: true },
      { value: `${url}/x`, outputFile: 'deep/er/name with space' },
    ]);
    expect(tree(sandbox)).toEqual([
      'deep/ 755 65534',
      'deep/er/ 755 65534',
      'deep/er/name with space 644 65534',
      'plain.txt 644 65534',
      'tool 755 65534',
    ]);
    expect(contentOf(sandbox, 'plain.txt')).toBe('content of /plain.txt?query');
  });

  when('of a task that runs as root belong to root, and are written without any capability', async () => {
    const { url } = await web((_, response) => response.end('x'));
    const root = { uid: 0, gid: 0, supplementalGids: [], name: 'root' };
    const sandbox = await bed.fetch([`${url}/file`], { user: root });
    expect(tree(sandbox)).toEqual(['file 644 0']);
    // A sandbox of somebody else: root without capabilities may not write into it.
    await expect(bed.fetch([`${url}/file`], { user: root, sandbox: bed.sandbox() })).rejects.toThrow(
      'ermission denied',
    );
  });

  when('replace what is there, and never write through a link', async () => {
    const { url } = await web((_, response) => response.end('new'));
    const sandbox = bed.sandbox();
    const outside = join(bed.directory, 'outside');
    writeFileSync(outside, 'untouched', { mode: 0o666 });
    symlinkSync(outside, join(sandbox, 'link'));
    writeFileSync(join(sandbox, 'file'), 'old');
    await bed.fetch([`${url}/link`, `${url}/file`], { sandbox });
    expect(tree(sandbox)).toEqual(['file 644 65534', 'link 644 65534']);
    expect(contentOf(sandbox, 'link')).toBe('new');
    expect(readFileSync(outside, 'utf8')).toBe('untouched');
  });

  when('are fetched one after another, and the first that fails ends the rest', async () => {
    const { url, requests } = await web((request, response) => {
      if (request.url === '/missing') response.statusCode = 404;
      response.end('x');
    });
    await expect(bed.fetch([`${url}/a`, `${url}/missing`, `${url}/b`])).rejects.toMatchObject({
      name: 'FetchFailed',
      message: `cannot fetch ${url}/missing: the server answered 404`,
    });
    expect(requests).toEqual(['GET /a', 'GET /missing']);
  });

  when('are checked by SHA-256 before anything of them is in the sandbox', async () => {
    const { url } = await web((_, response) => response.end('content'));
    await bed.fetch([{ value: `${url}/good`, sha256: sha256('content') }]);
    const sandbox = bed.sandbox();
    const bad = { value: `${url}/bad`, sha256: sha256('other') };
    await expect(bed.fetch([bad], { sandbox })).rejects.toThrow(`its SHA-256 is ${sha256('content')} and not`);
    expect(tree(sandbox)).toEqual([]);
  });

  when('of 20 MB arrive unchanged, and their progress is told', async () => {
    const data = randomBytes(20 << 20);
    const { url } = await web((_, response) => response.setHeader('content-length', data.length).end(data));
    const told: FetchProgress[] = [];
    const value = `${url}/big?signature=secret`.replace('://', '://me:pw@');
    const sandbox = await bed.fetch([{ value, sha256: sha256(data) }], { onProgress: (each) => told.push(each) });
    expect(sha256(readFileSync(join(sandbox, 'big')))).toBe(sha256(data));
    expect(told.at(-1)).toEqual({ item: `${url}/big?...`, doneBytes: data.length, totalBytes: data.length });
  });
});

describe('servers', () => {
  when(
    'a connection that breaks off is resumed where it broke, and what came before is not fetched again',
    async () => {
      const data = randomBytes(1 << 20);
      const ranges: (string | undefined)[] = [];
      const { url } = await web((request, response) => {
        const { range } = request.headers;
        ranges.push(range);
        const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
        const part = data.subarray(from);
        response.writeHead(range ? 206 : 200, {
          etag: '"v1"',
          'content-length': part.length,
          ...(range && { 'content-range': `bytes ${from}-${data.length - 1}/${data.length}` }),
        });
        if (ranges.length < 4)
          response.write(part.subarray(0, 200_000), () => setTimeout(() => response.destroy(), 30));
        else response.end(part);
      });
      const sandbox = await bed.fetch([{ value: `${url}/file`, sha256: sha256(data) }]);
      expect(sha256(readFileSync(join(sandbox, 'file')))).toBe(sha256(data));
      expect(ranges[0]).toBeUndefined();
      expect(ranges.slice(1)).toEqual([1, 2, 3].map(() => expect.stringMatching(/^bytes=\d+-$/)));
    },
  );

  when('a file that changed meanwhile is fetched anew', async () => {
    let asked = 0;
    const { url } = await web((_, response) => {
      asked++;
      response.writeHead(200, { etag: `"v${asked}"`, 'content-length': 8 });
      if (asked === 1) response.write('old ', () => setTimeout(() => response.destroy(), 30));
      else response.end('new file');
    });
    expect(contentOf(await bed.fetch([`${url}/file`]), 'file')).toBe('new file');
  });

  when('a server in trouble is asked again, five times at most', async () => {
    let asked = 0;
    const busy = await web((_, response) => response.writeHead(asked++ < 3 ? 503 : 200).end('at last'));
    expect(contentOf(await bed.fetch([`${busy.url}/file`]), 'file')).toBe('at last');
    const broken = await web((_, response) => response.writeHead(500).end());
    await expect(bed.fetch([`${broken.url}/file`])).rejects.toThrow('the server answered 500');
    expect(broken.requests).toHaveLength(5);
    broken.close();
    await expect(bed.fetch([`${broken.url}/file`])).rejects.toThrow('ECONNREFUSED');
  });

  when('too few bytes are noticed, and too many', async () => {
    const short = await web((_, response) =>
      response.writeHead(200, { 'content-length': 10 }).write('short', () => setTimeout(() => response.destroy(), 20)),
    );
    await expect(bed.fetch([`${short.url}/file`])).rejects.toThrow(/broke off|bytes came/);
    const long = await web((request) => request.socket.end('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nlonger'));
    // What is behind the announced length is not the file's.
    expect(contentOf(await bed.fetch([`${long.url}/file`]), 'file')).toBe('lon');
  });

  when('a server that sends less than a byte per second is given up after the stall timeout', async () => {
    const slow = await web((_, response) => {
      response.write('x');
      const timer = setInterval(() => response.write('x'), 1500);
      response.once('close', () => clearInterval(timer));
    });
    const begun = performance.now();
    const failure = await bed.fetch([{ value: `${slow.url}/file`, stallTimeoutSeconds: 2 }]).catch((error) => error);
    expect(failure).toMatchObject({ name: 'FetchFailed', stalled: true });
    expect(failure.message).toContain('less than 1 byte per second for 2 s');
    expect(performance.now() - begun).toBeLessThan(10_000);
    const silent = await web(() => {});
    await expect(bed.fetch([{ value: `${silent.url}/file`, stallTimeoutSeconds: 1 }])).rejects.toMatchObject({
      stalled: true,
    });
  });

  when('a slow server that keeps sending is waited for', async () => {
    const slow = await web(async (_, response) => {
      for (let sent = 0; sent < 12; sent++) {
        response.write('x');
        await sleep(200);
      }
      response.end();
    });
    const sandbox = await bed.fetch([{ value: `${slow.url}/file`, stallTimeoutSeconds: 1 }]);
    expect(contentOf(sandbox, 'file')).toBe('x'.repeat(12));
  });

  when('redirects are followed, ten at most, and never away from http', async () => {
    const other = await web((_, response) => response.end('found'));
    const { url, requests } = await web((request, response) => {
      const step = Number(request.url!.slice(1));
      const next = Number.isNaN(step) ? request.url! : step === 0 ? `${other.url}/end` : `/${step - 1}`;
      const target = { '/file': 'file:///etc/passwd', '/none': undefined }[request.url!];
      response.writeHead(302, request.url === '/none' ? {} : { location: target ?? next }).end();
    });
    expect(contentOf(await bed.fetch([{ value: `${url}/9`, outputFile: 'x' }]), 'x')).toBe('found');
    expect(requests).toHaveLength(10);
    await expect(bed.fetch([`${url}/circle`])).rejects.toThrow('more than 10 redirects');
    await expect(bed.fetch([`${url}/file`])).rejects.toThrow('no http or https address');
    await expect(bed.fetch([`${url}/none`])).rejects.toThrow('redirects to nowhere');
  });

  when('user name and password go to the named server only, and are in no message', async () => {
    const seen: (string | undefined)[] = [];
    const other = await web((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(403).end();
    });
    const { port } = await web((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(302, { location: `${other.url}/x` }).end();
    });
    const failure = await bed.fetch([`http://me:s%3Acret@127.0.0.1:${port}/x`]).catch((error) => error);
    expect(seen).toEqual([`Basic ${Buffer.from('me:s:cret').toString('base64')}`, undefined]);
    expect(`${failure.message}${failure.uri}`).not.toMatch(/me:|cret/);
  });

  when('an abort ends the download and leaves nothing', async () => {
    const { url } = await web((_, response) => void response.write('x'));
    const abort = new AbortController();
    const sandbox = bed.sandbox();
    const running = bed.fetch([`${url}/file`], { sandbox, signal: abort.signal });
    setTimeout(() => abort.abort(new Error('killed meanwhile')), 50);
    await expect(running).rejects.toThrow('killed meanwhile');
    expect(tree(sandbox)).toEqual([]);
  });
});

when('HTTPS works, with certificates that are verified, and is not left by a redirect', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tepui-tls-'));
  const [key, certificate] = ['key', 'cert'].map((name) => join(directory, name)) as [string, string];
  // biome-ignore format: one command line
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', certificate, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '1'], { stdio: 'ignore' });
  const plain = await web((_, response) => response.end('plain'));
  const server = createHttps({ key: readFileSync(key), cert: readFileSync(certificate) }, (request, response) => {
    if (request.url === '/down') response.writeHead(302, { location: plain.url });
    response.end('secure');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://localhost:${(server.address() as AddressInfo).port}`;
  const trusting = await openBed({ download: { ca: readFileSync(certificate, 'utf8'), retryMs: 5, env: {} } });
  try {
    expect(contentOf(await trusting.fetch([`${url}/file`]), 'file')).toBe('secure');
    await expect(trusting.fetch([`${url}/down`])).rejects.toThrow('redirects from https to http');
    await expect(bed.fetch([`${url}/file`])).rejects.toThrow(/certificate/);
  } finally {
    await trusting.close();
    server.close();
    rmSync(directory, { recursive: true });
  }
});

when('proxies of the environment are used, but for the hosts that are left out', async () => {
  const origin = await web((_, response) => response.end('direct'));
  const seen: string[] = [];
  // Plain requests or tunnels: a proxy has to know both.
  const tunnel = createServer().on('connect', (request, client, head) => {
    seen.push(`CONNECT ${request.url}`);
    const [host, port] = request.url!.split(':');
    const socket = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.write(head);
      socket.pipe(client).pipe(socket);
    });
    socket.on('error', () => {});
    client.on('error', () => {});
  });
  tunnel.on('request', (request, response) => {
    seen.push(request.url!);
    response.end('through the proxy');
  });
  await new Promise<void>((resolve) => tunnel.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(tunnel.address() as AddressInfo).port}`;
  const proxied = await openBed({ download: { retryMs: 5, env: { http_proxy: address } } });
  const left = await openBed({ download: { retryMs: 5, env: { HTTP_PROXY: address, NO_PROXY: '127.0.0.1' } } });
  try {
    expect(['direct', 'through the proxy']).toContain(contentOf(await proxied.fetch([`${origin.url}/file`]), 'file'));
    expect(seen.length).toBeGreaterThan(0);
    seen.length = 0;
    expect(contentOf(await left.fetch([`${origin.url}/file`]), 'file')).toBe('direct');
    expect(seen).toEqual([]);
  } finally {
    await proxied.close();
    await left.close();
    tunnel.close();
  }
});

describe('file:', () => {
  when('a file in an allowed directory is copied', async () => {
    const sandbox = await bed.fetch(['file:///etc/passwd']);
    expect(contentOf(sandbox, 'passwd')).toBe(readFileSync('/etc/passwd', 'utf8'));
    expect(tree(sandbox)).toEqual(['passwd 644 65534']);
  });

  when('another directory is refused, also by way of ".." and links', async () => {
    for (const path of ['/root/x', '/etc/../root/x', '/etcetera/x', '/proc/self/environ']) {
      await expect(bed.fetch([`file://${path}`])).rejects.toThrow('allowedHostPaths');
    }
    const inside = mkdtempSync('/etc/tepui-test-');
    try {
      symlinkSync('/usr/share/common-licenses', join(inside, 'out'));
      symlinkSync('/usr/bin/env', join(inside, 'env'));
      await expect(bed.fetch([`file://${inside}/out/GPL-3`])).rejects.toThrow('cannot be opened');
      await expect(bed.fetch([`file://${inside}/env`])).rejects.toThrow('cannot be opened');
    } finally {
      rmSync(inside, { recursive: true });
    }
  });

  when('what the task user may not read is refused, also where the agent could', async () => {
    await expect(bed.fetch(['file:///etc/shadow'])).rejects.toThrow('user nobody cannot read it');
    await expect(bed.fetch(['file:///etc/no-such-file'])).rejects.toThrow('cannot be opened');
    await expect(bed.fetch(['file://server/etc/passwd'])).rejects.toThrow('with host "server"');
    await expect(bed.fetch([{ value: 'file:///etc/ssl', outputFile: 'x' }])).rejects.toThrow();
  });
});
