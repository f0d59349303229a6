import { readdirSync, readFileSync, statSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { loadClusterConfig } from '../../../controllers/machinery/client/kubeconfig.ts';
import { Agent } from '../../../controllers/machinery/client/resources.ts';
import { createAuthorizer } from '../../../runtime/agent/endpoint/authorize.ts';
import { accessFor, matchRoute } from '../../../runtime/agent/endpoint/routes.ts';
import type { RunningAgent } from '../../../runtime/agent/index.ts';
import { SLOW } from '../../setup/slow.ts';
import { NAMESPACE, noContainers, type Platform, startPlatformWithAgent } from './support/platform.ts';

interface Answer {
  status: number;
  text: string;
}

const suite = noContainers() === undefined ? describe : describe.skip;

suite("an agent's endpoint", () => {
  let platform: Platform;
  let agent: RunningAgent;
  let token: string;
  let ca: Buffer;
  beforeAll(async () => {
    ({ platform, agent } = await startPlatformWithAgent());
    const config = await loadClusterConfig({ kubeconfig: platform.kubeconfig });
    token = config.credentials?.token ?? '';
    const status = (await platform.client.get(Agent, { name: platform.agentName }))?.status;
    expect(status?.endpoint).toMatchObject({ url: agent.url, socketPath: agent.socketPath });
    ca = Buffer.from(status?.endpoint?.caData ?? '', 'base64');
  }, 90_000);
  afterAll(() => platform.close(), 30_000);

  const open = (
    path: string,
    via: 'socket' | 'tcp' = 'socket',
    headers: Record<string, string> = {},
  ): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const sent =
        via === 'socket'
          ? httpRequest({ socketPath: agent.socketPath, path, headers }, resolve)
          : httpsRequest(new URL(path, agent.url), { ca, headers, agent: false }, resolve);
      sent.on('error', reject).end();
    });
  async function get(path: string, via?: 'socket' | 'tcp', headers?: Record<string, string>): Promise<Answer> {
    const response = await open(path, via, headers);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return { status: response.statusCode!, text: Buffer.concat(chunks).toString() };
  }

  test('is a socket for root alone', () => {
    expect(statSync(agent.socketPath).mode & 0o777).toBe(0o600);
  });

  test('answers health and metrics', async () => {
    expect(await get('/healthz')).toEqual({ status: 200, text: 'ok' });
    expect((await get('/metrics')).text).toMatch(/tepui_agent_launch_duration_seconds_bucket/);
  });

  test('says what is wrong with a path or a query', async () => {
    expect(await get('/nothing')).toMatchObject({ status: 404 });
    expect(await get(`/logs/${NAMESPACE}/nosuch`)).toMatchObject({
      status: 404,
      text: expect.stringContaining('not on this agent'),
    });
    expect(await get(`/logs/${NAMESPACE}/x?file=../../etc/shadow`)).toMatchObject({
      status: 400,
      text: expect.stringContaining('file: must be'),
    });
    expect(await get(`/logs/${NAMESPACE}/x?tail=-1`)).toMatchObject({
      status: 400,
      text: expect.stringContaining('tail: must be'),
    });
    expect(await get(`/exec/${NAMESPACE}/x`)).toMatchObject({ status: 426 });
    expect(await get('/%ff')).toMatchObject({ status: 404 });
  });

  test('streams the log of a running task as it is written, to its end', async () => {
    await platform.createTask('talker', { shell: `for n in 1 2 3 4 5; do echo line $n; sleep ${0.1 * SLOW}; done` });
    await platform.untilState('talker', 'Running');
    const response = await open(`/logs/${NAMESPACE}/talker?follow=true`);
    const arrivals: number[] = [];
    let text = '';
    for await (const chunk of response) {
      arrivals.push(Date.now());
      text += chunk;
    }
    expect(text).toBe('line 1\nline 2\nline 3\nline 4\nline 5\n');
    expect(arrivals.at(-1)! - arrivals[0]!).toBeGreaterThan(150);
    expect((await get(`/logs/${NAMESPACE}/talker?tail=2`)).text).toBe('line 4\nline 5\n');
    expect((await get(`/logs/${NAMESPACE}/talker?file=stderr`)).text).toBe('');
    expect(await get(`/logs/${NAMESPACE}/talker?previous=true`)).toMatchObject({
      status: 404,
      text: expect.stringContaining('no run before this one'),
    });
    expect(await get(`/logs/${NAMESPACE}/talker?after=1.x`)).toMatchObject({ status: 400 });
  });

  test('lists tasks and gives usage of those that run', async () => {
    await platform.createTask('busy', { shell: 'while :; do :; done', resources: { requests: { mem: '32Mi' } } });
    await platform.untilState('busy', 'Running');
    await sleep(300);
    const { items } = JSON.parse((await get('/tasks')).text);
    expect(items).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'busy', state: 'Running', isRunning: true })]),
    );
    const { statistics } = JSON.parse((await get(`/stats/${NAMESPACE}/busy`)).text);
    expect(statistics.cpusUserTimeSeconds).toBeGreaterThan(0.05);
    expect(statistics.memLimitBytes).toBe(32 * 2 ** 20);
    expect(JSON.parse((await get('/stats')).text).items).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'busy' })]),
    );
    await platform.kill('busy');
    await platform.untilEnded('busy');
    expect(await get(`/stats/${NAMESPACE}/busy`)).toMatchObject({ status: 404 });
  });

  test('lets nobody in over TCP without a token that the API server knows and allows', async () => {
    expect(await get('/healthz', 'tcp')).toMatchObject({ status: 200 });
    expect(await get('/tasks', 'tcp')).toMatchObject({ status: 401 });
    const stranger = await get('/tasks', 'tcp', { authorization: 'Bearer wrong' });
    // A server that cannot be asked about tokens lets nobody in at all.
    expect(stranger.status).toBe(platform.hasCore ? 401 : 503);
    if (!platform.hasCore) return;
    expect(await get('/tasks', 'tcp', { authorization: `Bearer ${token}` })).toMatchObject({ status: 200 });
  });

  describe('exec', () => {
    beforeAll(async () => {
      await platform.createTask('shell', { shell: 'sleep 1000', env: [{ name: 'COLOUR', value: 'red' }] });
      await platform.untilState('shell', 'Running');
    });

    /** Runs a command; `input` goes to its standard input, which is then closed. */
    function exec(
      query: string,
      input?: string,
    ): Promise<{ output: string; errors: string; status: { status: string; details?: unknown; message?: string } }> {
      const socket = new WebSocket(`ws+unix:${agent.socketPath}:/exec/${NAMESPACE}/shell?${query}`, [
        'v5.channel.k8s.io',
      ]);
      const channels: Record<number, string> = {};
      socket.on('message', (data: Buffer) => {
        channels[data[0]!] = (channels[data[0]!] ?? '') + data.subarray(1).toString();
      });
      if (input !== undefined) {
        socket.on('open', () => {
          socket.send(Buffer.concat([Buffer.of(0), Buffer.from(input)]));
          socket.send(Buffer.of(255, 0));
        });
      }
      return new Promise((resolve, reject) => {
        socket.on('error', reject);
        socket.on('close', () =>
          resolve({ output: channels[1] ?? '', errors: channels[2] ?? '', status: JSON.parse(channels[3] ?? 'null') }),
        );
      });
    }

    test('runs a command in the container and tells its exit code', async () => {
      const args = ['sh', '-c', 'echo out; echo err >&2; exit 3']
        .map((arg) => `command=${encodeURIComponent(arg)}`)
        .join('&');
      const { output, errors, status } = await exec(args);
      expect([output, errors]).toEqual(['out\n', 'err\n']);
      expect(status).toMatchObject({ status: 'Failure', details: { causes: [{ reason: 'ExitCode', message: '3' }] } });
    });

    test('passes standard input and its end', async () => {
      expect(await exec('command=wc&command=-c&stdin=true', 'x'.repeat(100_000))).toMatchObject({
        output: '100000\n',
        status: { status: 'Success' },
      });
    });

    test('gives a terminal of the wanted size', async () => {
      const { output } = await exec('command=stty&command=size&tty=true&stdin=true&columns=91&rows=17');
      expect(output.trim()).toBe('17 91');
    });

    test('says so when the command does not exist, and refuses an unknown task or a missing command', async () => {
      expect((await exec('command=/no/such')).status).toMatchObject({ status: 'Failure' });
      await expect(exec('')).rejects.toThrow('400');
      await expect(
        new Promise((_resolve, reject) =>
          new WebSocket(`ws+unix:${agent.socketPath}:/exec/${NAMESPACE}/nosuch?command=id`).on('error', reject),
        ),
      ).rejects.toThrow('404');
      const remote = new WebSocket(`${agent.url!.replace('https', 'wss')}/exec/${NAMESPACE}/shell?command=id`, { ca });
      await expect(new Promise((_resolve, reject) => remote.on('error', reject))).rejects.toThrow('401');
    });

    test('takes the process with it when the client goes', async () => {
      const seconds = `${1000 + Math.random()}`;
      const isRunning = () => readdirSync('/proc').some((pid) => commandLine(pid) === `sleep\0${seconds}\0`);
      const socket = new WebSocket(
        `ws+unix:${agent.socketPath}:/exec/${NAMESPACE}/shell?command=sleep&command=${seconds}`,
      );
      for (let tries = 0; !isRunning() && tries < 200; tries += 1) await sleep(20);
      expect(isRunning()).toBe(true);
      socket.terminate();
      for (let tries = 0; isRunning() && tries < 200; tries += 1) await sleep(20);
      expect(isRunning()).toBe(false);
    });
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

describe('routes', () => {
  test('name what access they need', () => {
    const access = (path: string) => accessFor(matchRoute(path)!, 'a1');
    expect(access('/healthz')).toBeUndefined();
    expect(access('/logs/ns/t')).toEqual({
      verb: 'get',
      resource: 'tasks',
      subresource: 'log',
      namespace: 'ns',
      name: 't',
    });
    expect(access('/exec/ns/t')).toEqual({
      verb: 'create',
      resource: 'tasks',
      subresource: 'exec',
      namespace: 'ns',
      name: 't',
    });
    for (const kind of ['attach', 'portforward'])
      expect(access(`/${kind}/ns/t`)).toMatchObject({ verb: 'create', resource: 'tasks', subresource: kind });
    for (const action of ['browse', 'read', 'download'])
      expect(access(`/sandbox/${action}/ns/t`)).toMatchObject({
        verb: 'get',
        resource: 'tasks',
        subresource: 'sandbox',
      });
    expect(access('/tasks')).toEqual({ verb: 'get', resource: 'agents', subresource: 'stats', name: 'a1' });
    expect([matchRoute('/logs/ns'), matchRoute('/logs/ns/t/x'), matchRoute('/'), matchRoute('/tasks/x')]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('authorization without reviews', () => {
  test('is refused with a word about the socket', async () => {
    const client = { raw: async () => ({ status: 404, body: {} }) };
    const authorizer = createAuthorizer(client as never);
    expect(
      await authorizer.authorize('Bearer x', { verb: 'get', resource: 'agents', subresource: 'stats', name: 'a' }),
    ).toMatchObject({
      allowed: false,
      status: 503,
      message: expect.stringContaining('Unix socket'),
    });
  });
});
