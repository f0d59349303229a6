/** HTTP, TCP and gRPC probes against real servers on the loopback address. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from '@jest/globals';
import { HealthImplementation } from 'grpc-health-check';
import { type CheckAction, probe } from '../../../runtime/checks/probe.ts';
import { frame, healthCheckRequest, parseHealthCheckResponse } from '../../../runtime/checks/probes/grpc.ts';
import type { ProbeOutcome } from '../../../runtime/checks/result.ts';
import type { CheckTarget } from '../../../runtime/checks/target.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

let dialled = 0;
const target: CheckTarget = {
  exec: () => Promise.reject(new Error('not here')),
  dial: (port, signal) =>
    new Promise((resolve, reject) => {
      dialled++;
      const socket = connect({ port, host: '127.0.0.1', signal });
      socket.once('error', reject).once('connect', () => resolve(socket));
    }),
};

function attempt(action: CheckAction, signal = new AbortController().signal): Promise<ProbeOutcome> {
  return probe(action, target, () => undefined, signal);
}

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})));
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const web = (listener: RequestListener): Promise<number> => listening(createHttp(listener));

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('HTTP', () => {
  test('200 to 399 is success, everything else is not, and the status is told', async () => {
    const port = await web((request, response) => {
      response.statusCode = Number(request.url!.slice(1));
      response.end('body');
    });
    const outcomes = await Promise.all(
      [200, 204, 304, 399, 400, 404, 500, 503].map((code) => attempt({ http: { port, path: `/${code}` } })),
    );
    expect(outcomes.map(({ outcome, statusCode }) => [outcome, statusCode])).toEqual([
      ['Success', 200],
      ['Success', 204],
      ['Success', 304],
      ['Success', 399],
      ['Failure', 400],
      ['Failure', 404],
      ['Failure', 500],
      ['Failure', 503],
    ]);
    expect(outcomes[7]!.message).toBe('HTTP status 503 Service Unavailable');
  });

  test('path and query are asked for as they are written, on the loopback address', async () => {
    const seen: (string | undefined)[] = [];
    const port = await web((request, response) => {
      seen.push(request.url, request.headers.host, request.headers['user-agent']);
      response.end();
    });
    await attempt({ http: { port, path: '/a/b?c=d&e=%20f' } });
    await attempt({ http: { port, path: '//example.org/x' } });
    const rest = [`127.0.0.1:${port}`, 'tepui-check'];
    expect(seen).toEqual(['/a/b?c=d&e=%20f', ...rest, '//example.org/x', ...rest]);
  });

  test('the beginning of the answer is kept, and a body without end is not waited for', async () => {
    const port = await web((_, response) => {
      response.setHeader('content-type', 'text/plain');
      response.write('x'.repeat(5000)); // and never ends
    });
    const { outcome, response } = await attempt({ http: { port } });
    expect([outcome, response?.contentType, response?.body]).toEqual(['Success', 'text/plain', 'x'.repeat(1024)]);
  });

  test('redirects are followed on the loopback address, also to another port, and not in circles', async () => {
    const other = await web((_, response) => response.writeHead(503).end());
    const port = await web((request, response) => {
      const next = { '/': '/two', '/two': 'three?x', '/three?x': `http://localhost:${other}/` }[request.url!];
      response.writeHead(302, { location: next ?? request.url! }).end();
    });
    expect(await attempt({ http: { port } })).toMatchObject({ outcome: 'Failure', statusCode: 503 });
    dialled = 0;
    expect(await attempt({ http: { port, path: '/circle' } })).toMatchObject({
      outcome: 'Failure',
      message: 'more than 10 redirects',
    });
    expect(dialled).toBe(11);
  });

  test('a redirect that leads elsewhere is not followed and is itself the answer', async () => {
    for (const location of [
      'http://192.0.2.1/',
      'https://example.org/',
      'file:///etc/passwd',
      'http://[',
      'ftp://127.0.0.1/',
    ]) {
      const port = await web((_, response) => response.writeHead(301, { location }).end());
      dialled = 0;
      expect([location, await attempt({ http: { port } })]).toEqual([
        location,
        expect.objectContaining({ outcome: 'Success', statusCode: 301 }),
      ]);
      expect(dialled).toBe(1);
    }
  });

  test('nobody there, no HTTP, and a connection that breaks are failures without a status', async () => {
    const broken = await web((request) => request.socket.destroy());
    const talking = await listening(createServer((socket) => socket.end('220 smtp.example.org\r\n')));
    const ports = [await freePort(), broken, talking];
    const outcomes = await Promise.all(ports.map((port) => attempt({ http: { port } })));
    expect(outcomes.map(({ outcome, statusCode }) => [outcome, statusCode])).toEqual(
      ports.map(() => ['Failure', undefined]),
    );
    expect(outcomes[0]!.message).toContain('ECONNREFUSED');
  });

  test('an answer that does not come is given up, and the connection ends', async () => {
    let ended: () => void;
    const gone = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const port = await web((request) => request.socket.once('close', () => ended()));
    const abort = new AbortController();
    const running = attempt({ http: { port } }, abort.signal);
    setTimeout(() => abort.abort(), 50);
    await running;
    await gone;
  });

  test('HTTPS works with a certificate that nobody vouches for', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tepui-tls-'));
    const [key, certificate] = ['key', 'cert'].map((name) => join(directory, name)) as [string, string];
    // biome-ignore format: one command line
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', certificate, '-subj', '/CN=expired.example.org', '-days', '1'], { stdio: 'ignore' });
    const server = createHttps({ key: readFileSync(key), cert: readFileSync(certificate) }, (request, response) => {
      if (request.url === '/plain') response.writeHead(302, { location: `http://127.0.0.1:${plain}/` });
      response.end('secure');
    });
    const plain = await web((_, response) => response.writeHead(418).end());
    const port = await listening(server);
    rmSync(directory, { recursive: true });
    expect(await attempt({ http: { scheme: 'HTTPS', port } })).toMatchObject({
      outcome: 'Success',
      statusCode: 200,
      response: { body: 'secure' },
    });
    expect(await attempt({ http: { scheme: 'HTTPS', port, path: '/plain' } })).toMatchObject({ statusCode: 418 });
    expect(await attempt({ http: { scheme: 'HTTPS', port: plain } })).toMatchObject({ outcome: 'Failure' });
    expect(await attempt({ http: { scheme: 'HTTP', port } })).toMatchObject({ outcome: 'Failure' });
  });
});

describe('TCP', () => {
  test('connecting is success, also when the other side hangs up', async () => {
    const port = await listening(createServer((socket) => socket.destroy()));
    expect(await attempt({ tcp: { port } })).toMatchObject({ outcome: 'Success' });
    expect(await attempt({ tcp: { port: await freePort() } })).toMatchObject({ outcome: 'Failure' });
  });

  test('a failure of this machine is no failure of the container', async () => {
    for (const code of ['ESRCH', 'EMFILE', undefined]) {
      const broken: CheckTarget = { ...target, dial: () => Promise.reject(Object.assign(new Error('no'), { code })) };
      const outcome = await probe({ tcp: { port: 1 } }, broken, () => undefined, new AbortController().signal);
      expect([code, outcome.outcome]).toEqual([code, 'Undone']);
    }
  });

  test('a port can be named', async () => {
    const port = await listening(createServer());
    const named = (portName: string) =>
      probe({ tcp: { portName } }, target, (name) => (name === 'web' ? port : undefined), new AbortController().signal);
    expect(await named('web')).toMatchObject({ outcome: 'Success' });
    expect(await named('other')).toMatchObject({
      outcome: 'Failure',
      message: 'the container has no port named "other"',
    });
  });
});

describe('gRPC', () => {
  async function serve(prepare: (server: grpc.Server) => void): Promise<number> {
    const server = new grpc.Server();
    prepare(server);
    closing.push(() => server.forceShutdown());
    return new Promise((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
  }
  const said = async (port: number, service?: string): Promise<[string, string]> => {
    const { outcome, message } = await attempt({ grpc: { port, ...(service !== undefined && { service }) } });
    return [outcome, message];
  };

  test('the reference implementation of the health service is understood', async () => {
    const health = new HealthImplementation({
      '': 'SERVING',
      good: 'SERVING',
      bad: 'NOT_SERVING',
      odd: 'UNKNOWN',
      [`l${'o'.repeat(250)}ng`]: 'SERVING',
    });
    const port = await serve((server) => health.addToServer(server));
    expect(await said(port)).toEqual(['Success', 'the server is SERVING']);
    expect(await said(port, 'good')).toEqual(['Success', 'service good is SERVING']);
    expect(await said(port, `l${'o'.repeat(250)}ng`)).toEqual(['Success', expect.stringContaining('SERVING')]);
    expect(await said(port, 'bad')).toEqual(['Failure', 'service bad is NOT_SERVING']);
    expect(await said(port, 'odd')).toEqual(['Failure', 'service odd is UNKNOWN']);
    expect(await said(port, 'other')).toEqual(['Failure', expect.stringContaining('gRPC status 5')]);
    health.setStatus('', 'NOT_SERVING');
    expect(await said(port)).toEqual(['Failure', 'the server is NOT_SERVING']);
  });

  test('a server without the health service, no gRPC server, and nobody are failures', async () => {
    expect(await said(await serve(() => {}))).toEqual(['Failure', expect.stringContaining('gRPC status 12')]);
    const port = await web((_, response) => response.end());
    expect(await said(port)).toEqual(['Failure', expect.stringContaining('no gRPC answer')]);
    expect(await said(await freePort())).toEqual(['Failure', expect.stringContaining('ECONNREFUSED')]);
  });

  test('an answer that does not come is given up', async () => {
    const port = await listening(createServer(() => {}));
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50);
    expect((await attempt({ grpc: { port } }, abort.signal)).outcome).toBe('Failure');
  });

  test('messages are read and written as protobuf has them, and what is none is refused', () => {
    expect(healthCheckRequest('')).toEqual(Buffer.alloc(0));
    expect(healthCheckRequest('ab')).toEqual(Buffer.from([0x0a, 2, 0x61, 0x62]));
    expect(healthCheckRequest('x'.repeat(300)).subarray(0, 3)).toEqual(Buffer.from([0x0a, 0xac, 0x02]));
    const parse = (...bytes: number[]) => parseHealthCheckResponse(frame(Buffer.from(bytes)));
    expect(parse()).toBe(0);
    expect(parse(8, 1)).toBe(1);
    expect(parse(8, 1, 8, 2)).toBe(2); // the last one counts
    expect(parse(0x12, 2, 9, 9, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4, 8, 1)).toBe(1); // unknown fields
    for (const bytes of [[8], [8, 0x80], [0x12, 9, 1], [0x0b], [8, ...Array(11).fill(0x80), 1]]) {
      expect([bytes, parse(...bytes)]).toEqual([bytes, undefined]);
    }
    expect(parseHealthCheckResponse(Buffer.from([1, 0, 0, 0, 0]))).toBeUndefined(); // compressed
    expect(parseHealthCheckResponse(Buffer.from([0, 0, 0, 0, 9, 8, 1]))).toBeUndefined();
  });
});
