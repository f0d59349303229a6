/** Attaching to containers and reaching their ports through the agent, over its socket and over TCP, and while it is exchanged. */
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { loadClusterConfig } from '../../../controllers/machinery/client/kubeconfig.ts';
import { Agent } from '../../../controllers/machinery/client/resources.ts';
import type { RunningAgent } from '../../../runtime/agent/index.ts';
import { eventually } from '../launcher/harness.ts';
import { NAMESPACE, noContainers, type Platform, startPlatformWithAgent } from './support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;

interface Session {
  socket: WebSocket;
  /** What came on each channel. */
  seen: Record<number, string>;
  send(channel: number, data: string | Uint8Array): void;
  opened: Promise<void>;
  /** With its code. */
  closed: Promise<number>;
}

function open(url: string, options: object = {}): Session {
  const socket = new WebSocket(url, ['v5.channel.k8s.io'], options);
  const seen: Record<number, string> = {};
  socket.on('message', (data: Buffer) => {
    seen[data[0]!] = (seen[data[0]!] ?? '') + data.subarray(1).toString();
  });
  const opened = new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  opened.catch(() => {});
  socket.on('error', () => {});
  return {
    socket,
    seen,
    opened,
    closed,
    send: (channel, data) => socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(data)])),
  };
}

suite('sessions through an agent', () => {
  let platform: Platform;
  let agent: RunningAgent;
  const local = (path: string) => open(`ws+unix:${agent.socketPath}:${path}`);
  beforeAll(async () => {
    ({ platform, agent } = await startPlatformWithAgent());
  }, 90_000);
  afterAll(() => platform.close(), 30_000);

  test('several clients attach to a shell, which goes on when they and the agent go', async () => {
    await platform.createTask('shell', { command: ['/bin/sh'], tty: true, stdin: true });
    await platform.untilState('shell', 'Running');
    const first = local(`/attach/${NAMESPACE}/shell?stdin=true&history=true`);
    await first.opened;
    first.send(4, '{"Width":101,"Height":33}');
    first.send(0, 'stty size; secret=word\n');
    await eventually(() => first.seen[1]?.includes('33 101'), 'the size');
    const second = local(`/attach/${NAMESPACE}/shell?stdin=true&history=true`);
    await eventually(() => second.seen[1]?.includes('33 101'), 'what was there before');
    await agent.close();
    await Promise.all([first.closed, second.closed]);
    agent = await platform.startAgent();
    await agent.ready;
    const third = local(`/attach/${NAMESPACE}/shell?stdin=true`);
    await third.opened;
    third.send(0, 'echo still $secret; exit 5\n');
    await third.closed;
    expect(third.seen[1]).toContain('still word');
    expect(JSON.parse(third.seen[3]!)).toMatchObject({ details: { causes: [{ reason: 'ExitCode', message: '5' }] } });
    expect((await platform.untilEnded('shell')).status).toMatchObject({ state: 'Failed', exitCode: 5 });
  });

  test('a client that may only look on changes nothing, and one that gives the input ends it', async () => {
    await platform.createTask('cat', { command: ['cat'], stdin: true });
    await platform.untilState('cat', 'Running');
    const watcher = local(`/attach/${NAMESPACE}/cat`);
    const writer = local(`/attach/${NAMESPACE}/cat?stdin=true&output=false`);
    await Promise.all([watcher.opened, writer.opened]);
    watcher.send(0, 'not passed on\n');
    watcher.send(255, Buffer.of(0));
    writer.send(0, 'one\n');
    await eventually(() => watcher.seen[1]?.includes('one'), 'the line');
    writer.send(255, Buffer.of(0));
    await Promise.all([watcher.closed, writer.closed]);
    expect(watcher.seen[1]).toBe('one\n');
    expect(writer.seen[1]).toBeUndefined();
    expect((await platform.untilEnded('cat')).status?.state).toBe('Finished');
  });

  test('attaching to what has neither terminal nor input says what to do, and to no container at all is refused', async () => {
    await platform.createTask('plain', { shell: 'sleep 1000' });
    await platform.untilState('plain', 'Running');
    const session = local(`/attach/${NAMESPACE}/plain`);
    await session.closed;
    expect(JSON.parse(session.seen[3]!)).toMatchObject({
      status: 'Failure',
      reason: 'NotAttachable',
      message: expect.stringContaining('read its log'),
    });
    await expect(local(`/attach/${NAMESPACE}/plain?container=other`).opened).rejects.toThrow('404');
    await platform.kill('plain');
  });

  test('a signal reaches the command of an exec session', async () => {
    await platform.createTask('host', { shell: 'sleep 1000' });
    await platform.untilState('host', 'Running');
    const script = 'trap "echo caught; exit 9" USR1; echo ready; while :; do sleep 0.02; done';
    const session = local(
      `/exec/${NAMESPACE}/host?container=main&command=sh&command=-c&command=${encodeURIComponent(script)}`,
    );
    await eventually(() => session.seen[1]?.includes('ready'), 'the command');
    session.send(16, '10');
    await session.closed;
    expect(session.seen[1]).toContain('caught');
    expect(session.seen[3]).toContain('exit code 9');
  });

  describe('port-forward', () => {
    let echo: Server;
    let port: number;
    beforeAll(async () => {
      // The container shares the host's network: its loopback is ours.
      echo = createServer({ allowHalfOpen: true }, (socket) => {
        let count = 0;
        socket.on('data', (chunk) => {
          count += chunk.length;
        });
        socket.on('end', () => socket.end(`${count} bytes`));
      });
      await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
      port = (echo.address() as { port: number }).port;
      await platform.createTask('net', { shell: 'sleep 1000' });
      await platform.untilState('net', 'Running');
    });
    afterAll(() => void echo?.close());

    test('carries bytes both ways, and the end of each direction', async () => {
      const session = local(`/portforward/${NAMESPACE}/net?port=${port}`);
      await session.opened;
      for (let piece = 0; piece < 50; piece += 1) session.send(0, Buffer.alloc(65_536, 0x61));
      session.send(255, Buffer.of(0));
      await session.closed;
      expect(session.seen[0]).toBe('3276800 bytes');
    });

    test('a server that ends its direction first still gets what follows', async () => {
      let got = '';
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.end('z'.repeat(300_000));
        socket.on('data', (chunk) => {
          got += chunk.toString();
        });
      }).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const session = local(`/portforward/${NAMESPACE}/net?port=${(server.address() as { port: number }).port}`);
      await eventually(() => session.seen[255] !== undefined, 'the end of its direction');
      expect(session.seen[0]?.length).toBe(300_000);
      session.send(0, 'after');
      session.send(255, Buffer.of(0));
      expect(await session.closed).toBe(1000);
      await eventually(() => got === 'after', 'what followed');
      server.close();
    });

    test('one that breaks gives what had come, and is no end', async () => {
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => socket.write('some of it', () => setTimeout(() => socket.resetAndDestroy(), 200)));
      }).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const session = local(`/portforward/${NAMESPACE}/net?port=${(server.address() as { port: number }).port}`);
      await session.opened;
      session.send(0, 'x');
      expect(await session.closed).toBe(1011);
      expect(session.seen).toEqual({ 0: 'some of it' });
      server.close();
    });

    test('says why there is no connection', async () => {
      const free = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => free.once('listening', resolve));
      const unused = (free.address() as { port: number }).port;
      await new Promise((resolve) => free.close(resolve));
      const session = local(`/portforward/${NAMESPACE}/net?port=${unused}`);
      await session.closed;
      expect(session.seen[1]).toMatch(/refused|ECONNREFUSED/i);
      await expect(local(`/portforward/${NAMESPACE}/net?port=99999`).opened).rejects.toThrow('400');
    });

    test('the connection goes when the client does', async () => {
      let isClosed = false;
      const server = createServer((socket) =>
        socket
          .resume()
          .on('error', () => {})
          .on('close', () => {
            isClosed = true;
          }),
      ).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const session = local(`/portforward/${NAMESPACE}/net?port=${(server.address() as { port: number }).port}`);
      await session.opened;
      session.send(0, 'x');
      session.socket.terminate();
      await eventually(() => isClosed, 'the end of the connection');
      server.close();
    });
  });

  test('over TCP each of them needs a token and the right', async () => {
    const url = agent.url!.replace('https', 'wss');
    const ca = Buffer.from(
      (await platform.client.get(Agent, { name: platform.agentName }))?.status?.endpoint?.caData ?? '',
      'base64',
    );
    await platform.createTask('remote', { command: ['cat'], stdin: true });
    await platform.untilState('remote', 'Running');
    for (const path of [`/attach/${NAMESPACE}/remote`, `/portforward/${NAMESPACE}/remote?port=80`])
      await expect(open(`${url}${path}`, { ca }).opened).rejects.toThrow('401');
    if (!platform.hasCore) return;
    const token = (await loadClusterConfig({ kubeconfig: platform.kubeconfig })).credentials?.token;
    const session = open(`${url}/attach/${NAMESPACE}/remote?stdin=true`, {
      ca,
      headers: { authorization: `Bearer ${token}` },
    });
    await session.opened;
    session.send(0, 'hello\n');
    session.send(255, Buffer.of(0));
    await session.closed;
    expect(session.seen[1]).toBe('hello\n');
  });
});
