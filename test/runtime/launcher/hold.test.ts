/** Namespaces without a process: what `hold` makes, what `unhold` leaves (nothing), also after kills and with copies of the mount table about. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { HoldFailed, holdNamespaces, releaseNamespaces } from '../../../runtime/launcher/hold.ts';
import { eventually, mountsBelow } from './harness.ts';

let root: string;
let directory: string;
const binary = await buildLauncher({ sanitize: process.env.TEPUI_SANITIZE === '1' });
const options = { binary };

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tepui-hold-'));
  directory = join(root, 'ns');
});
afterEach(async () => {
  await releaseNamespaces(directory, options).catch(() => {});
  expect(await mountsBelow(root)).toEqual([]);
  await rm(root, { recursive: true, force: true });
});

/** Runs in the held network namespace as nobody. */
function inside(...argv: string[]): { status: number | null; text: string } {
  const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
  const done = spawnSync('nsenter', [`--net=${join(directory, 'net')}`, ...user, ...argv], { encoding: 'utf8' });
  return { status: done.status, text: `${done.stdout}${done.stderr}` };
}

test('a held network has loopback up, and lets ordinary users listen on port 80', async () => {
  const held = await holdNamespaces(directory, ['net'], options);
  expect(held).toEqual({ net: join(directory, 'net') });
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect(inside('cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start').text.trim()).toBe('0');
  expect(inside('cat', '/proc/sys/net/ipv4/ping_group_range').text.trim()).toBe('0\t2147483647');
  const listening = `
    const server = require('net').createServer((socket) => socket.end('hello'));
    server.listen(80, '127.0.0.1', () => require('net').connect(80, '127.0.0.1').pipe(process.stdout).on('unpipe', () => process.exit()));`;
  expect(inside(process.execPath, '-e', listening)).toEqual({ status: 0, text: 'hello' });
  expect(inside('ip', '-o', 'link').text.trim().split('\n')).toHaveLength(1);
});

test('holding again keeps what is there and makes what is missing', async () => {
  const { net } = await holdNamespaces(directory, ['net'], options);
  const { ino } = await stat(net);
  const both = await holdNamespaces(directory, ['net', 'ipc', 'uts'], options);
  expect((await stat(both.net)).ino).toBe(ino);
  const own = await Promise.all(['ipc', 'uts'].map((type) => stat(`/proc/self/ns/${type}`)));
  expect((await stat(both.ipc)).ino).not.toBe(own[0]?.ino);
  expect((await stat(both.uts)).ino).not.toBe(own[1]?.ino);
  expect(await mountsBelow(root)).toHaveLength(3);
});

test('calls at once make one namespace', async () => {
  await Promise.all([1, 2, 3, 4].map(() => holdNamespaces(directory, ['net', 'ipc'], options)));
  expect(await mountsBelow(root)).toHaveLength(2);
});

test('releasing leaves nothing, may be repeated, and keeps the files of others', async () => {
  await holdNamespaces(directory, ['net', 'ipc'], options);
  await writeFile(join(directory, 'hosts'), '');
  await releaseNamespaces(directory, options);
  expect(existsSync(join(directory, 'net'))).toBe(false);
  expect(existsSync(join(directory, 'hosts'))).toBe(true);
  await rm(join(directory, 'hosts'));
  await releaseNamespaces(directory, options);
  expect(existsSync(directory)).toBe(false);
  await releaseNamespaces(directory, options);
});

test('a copy of the mount table does not keep a released namespace alive', async () => {
  const { net } = await holdNamespaces(directory, ['net'], options);
  const { ino } = await stat(net);
  const copy = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', 'echo ready; exec sleep 100'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await once(copy.stdout, 'data');
    expect(await readFile(`/proc/${copy.pid}/mountinfo`, 'utf8')).toContain(`net:[${ino}]`);
    await releaseNamespaces(directory, options);
    expect(await readFile(`/proc/${copy.pid}/mountinfo`, 'utf8')).not.toContain(`net:[${ino}]`);
  } finally {
    copy.kill('SIGKILL');
    await once(copy, 'exit');
  }
});

test('killed at any moment, a later hold or release finds its way', async () => {
  for (let round = 0; round < 40; round++) {
    const child = spawn(binary, ['hold', directory, 'net', 'ipc', 'uts'], { stdio: 'ignore' });
    const until = process.hrtime.bigint() + BigInt(Math.round(Math.random() * 6e6));
    while (process.hrtime.bigint() < until);
    child.kill('SIGKILL');
    await once(child, 'exit');
    if (round % 2 === 0) {
      await holdNamespaces(directory, ['net', 'ipc', 'uts'], options);
      expect(inside('cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start').text.trim()).toBe('0');
    }
    await releaseNamespaces(directory, options);
    expect(existsSync(directory)).toBe(false);
  }
});

test('a file that a killed hold left is taken over', async () => {
  await mkdir(directory, { mode: 0o700 });
  await writeFile(join(directory, 'net'), '');
  await holdNamespaces(directory, ['net'], options);
  await eventually(async () => (await mountsBelow(root)).length === 1, 'the namespace to be bound');
});

test('bad arguments and directories of others are refused with a reason', async () => {
  await expect(holdNamespaces('relative', ['net'], options)).rejects.toThrow(HoldFailed);
  await expect(holdNamespaces(`${root}/../x`, ['net'], options)).rejects.toThrow('usage');
  await expect(holdNamespaces(directory, ['mnt' as 'net'], options)).rejects.toThrow('usage');
  await expect(holdNamespaces(join(root, 'a/b'), ['net'], options)).rejects.toThrow('cannot make');
  await symlink('/etc', join(root, 'link'));
  await expect(holdNamespaces(join(root, 'link'), ['net'], options)).rejects.toThrow('cannot use');
  await mkdir(directory, { mode: 0o777 });
  spawnSync('chmod', ['777', directory]);
  await expect(holdNamespaces(directory, ['net'], options)).rejects.toThrow('ours alone');
  spawnSync('chmod', ['700', directory]);
  await symlink('/etc/passwd', join(directory, 'net'));
  await expect(holdNamespaces(directory, ['net'], options)).rejects.toThrow('cannot use net');
});
