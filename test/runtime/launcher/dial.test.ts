import { spawnSync } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import { DialFailed, dial } from '../../../runtime/launcher/dial.ts';
import { visibleNode } from '../visible-node.ts';
import { type Bed, eventually, makeBed, processesWith } from './harness.ts';

// The first test of a machine compiles the launcher, which takes its time on a busy one.
jest.setTimeout(120_000);

/** In the container: an echo server on 127.0.0.1:81, one on [::1]:82, one at :83 that hangs up with a reset, one at :84 that only talks, one at :85 that says much and then resets. */
const server = `
const net = require('net');
let left = 5;
const up = () => { if (--left === 0) console.log('up'); };
net.createServer({ allowHalfOpen: true }, (c) => c.pipe(c)).listen(81, '127.0.0.1', up);
net.createServer({ allowHalfOpen: true }, (c) => c.pipe(c)).listen(82, '::1', up);
net.createServer((c) => c.once('data', () => c.resetAndDestroy())).listen(83, '127.0.0.1', up);
net.createServer({ allowHalfOpen: true }, (c) => c.on('error', () => {}).write('hello')).listen(84, '127.0.0.1', up);
net.createServer({ allowHalfOpen: true }, (c) => c.on('error', () => {}).once('data', () => c.write(Buffer.alloc(300000, 'y'), () => c.resetAndDestroy()))).listen(85, '127.0.0.1', up);
`;

let bed: Bed;
const node = visibleNode();
let target: { pid: number; startTimeTicks: number };
let containerId: string;
beforeAll(async () => {
  bed = await makeBed();
});
afterAll(async () => {
  await bed.close();
  node.remove();
});
beforeEach(async () => {
  const request = await bed.request([node.path, '-e', server]);
  containerId = request.containerId;
  target = await bed.launcher.launch(request);
  await eventually(async () => (await readFile(request.stdout.path, 'utf8')).includes('up'), 'the servers');
});
afterEach(async () => {
  await bed.launcher.signal(containerId, 9);
  await bed.exit(containerId);
  await eventually(async () => (await diallers()).length === 0, 'the diallers to end');
});

const connect = (port: number, host?: string, signal?: AbortSignal): Promise<Duplex> =>
  dial(bed.launcher.binary, { ...target, port, ...(host && { host }), ...(signal && { signal }) });
const diallers = (): Promise<number[]> => processesWith(`dial\0${target.pid}\0`);

test('a connection reaches the loopback of the container, and each direction ends on its own', async () => {
  const stream = await connect(81);
  stream.write('hello ');
  stream.end('world');
  expect(await text(stream)).toBe('hello world');
});

test('a reader that comes after the end finds everything', async () => {
  const stream = await connect(81);
  stream.end('late');
  await eventually(async () => (await diallers()).length === 0, 'the dialler to end');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await text(stream)).toBe('late');
});

test('IPv6 loopback is tried when nobody listens on IPv4', async () => {
  const stream = await connect(82);
  stream.end('six');
  expect(await text(stream)).toBe('six');
});

test('ten megabytes go through both ways, with a reader that pauses', async () => {
  const stream = await connect(81);
  const data = Buffer.alloc(10 << 20, 'tepui');
  stream.end(data);
  const parts: Buffer[] = [];
  for await (const part of stream) {
    if (parts.length % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    parts.push(part as Buffer);
  }
  expect(Buffer.concat(parts).equals(data)).toBe(true);
});

test('nobody listens: ECONNREFUSED, though the host listens there', async () => {
  const host = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => host.once('listening', resolve));
  const port = (host.address() as { port: number }).port;
  await expect(connect(port)).rejects.toMatchObject({ name: 'DialFailed', code: 'ECONNREFUSED', step: 'connect' });
  host.close();
});

test('a reset is told as a broken connection, not as an end', async () => {
  const stream = await connect(83);
  stream.write('x');
  expect(await text(stream)).toBe('');
  expect(stream.errored).toMatchObject({ name: 'DialFailed', code: 'ECONNRESET', step: 'relay' });
});

test('what came before a reset is delivered, however late the reader', async () => {
  const stream = await connect(85);
  stream.write('x');
  await new Promise((resolve) => setTimeout(resolve, 300));
  // More than fits in what lies between: a part of it stayed with the kernel that reset the connection.
  expect((await text(stream)).length).toBeGreaterThan(100_000);
  expect(stream.errored).toMatchObject({ code: 'ECONNRESET' });
});

test('destroying the stream ends the dialler at once, also when the other side says nothing', async () => {
  const stream = await connect(84);
  expect((await diallers()).length).toBe(1);
  stream.destroy();
  await eventually(async () => (await diallers()).length === 0, 'the dialler to end');
});

test('the dialler runs as nobody, without capabilities, in the network namespace and no other', async () => {
  const stream = await connect(84);
  const [pid] = await diallers();
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
  expect(status).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
  expect(status).toMatch(/^Groups:\t *$/m);
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(status).toMatch(new RegExp(`^${set}:\t0+$`, 'm'));
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  const namespaces = (of: number | string) =>
    Promise.all(['net', 'mnt', 'pid'].map((name) => readlink(`/proc/${of}/ns/${name}`)));
  const ours = await namespaces('self');
  const theirs = await namespaces(target.pid);
  expect(await namespaces(pid!)).toEqual([theirs[0], ...ours.slice(1)]);
  expect(theirs[0]).not.toBe(ours[0]);
  stream.destroy();
});

test('an attempt can be given up', async () => {
  const aborted = AbortSignal.abort(new Error('enough'));
  await expect(connect(81, undefined, aborted)).rejects.toThrow('enough');
  const controller = new AbortController();
  const attempt = connect(81, undefined, controller.signal);
  controller.abort(new Error('changed my mind'));
  await expect(attempt).rejects.toThrow('changed my mind');
  await eventually(async () => (await diallers()).length === 0, 'the dialler to end');
});

test('a reused pid is not entered, a container that is gone neither', async () => {
  const wrong = { pid: target.pid, startTimeTicks: target.startTimeTicks + 1, port: 81 };
  await expect(dial(bed.launcher.binary, wrong)).rejects.toMatchObject({ code: 'ESRCH', step: 'enter' });
  const gone = { pid: 4_194_303, startTimeTicks: 1, port: 81 };
  await expect(dial(bed.launcher.binary, gone)).rejects.toBeInstanceOf(DialFailed);
});

test('names and odd numbers are refused', async () => {
  await expect(connect(81, 'example.org')).rejects.toThrow('no numeric IPv4 or IPv6 address');
  await expect(connect(81, 'fe80::1%eth0')).rejects.toThrow('no numeric');
  for (const port of [0, 65536, 1.5]) await expect(connect(port)).rejects.toThrow('is no TCP port');
  const { pid, startTimeTicks } = target;
  for (const arguments_ of [
    [],
    [pid, startTimeTicks, 81],
    [0, startTimeTicks, 81, '127.0.0.1'],
    [pid, startTimeTicks, 65536, '127.0.0.1'],
    [pid, '-1', 81, '127.0.0.1'],
    [pid, startTimeTicks, 81, 'localhost'],
    [pid, startTimeTicks, 81, '127.0.0.1', '127.0.0.1x'],
  ]) {
    const { status, stderr } = spawnSync(bed.launcher.binary, ['dial', ...arguments_.map(String)], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([2, expect.stringContaining('usage: tepui-launcher dial')]);
  }
});
