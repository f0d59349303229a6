import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { ExecSession } from '../../../runtime/containerizers/containerizer.ts';
import { LaunchFailed } from '../../../runtime/launcher/client.ts';
import { startExec } from '../../../runtime/launcher/exec.ts';
import type { ExecLaunchRequest } from '../../../runtime/launcher/operations.ts';
import { type Bed, eventually, makeBed, makeCgroup, processesWith, type TestCgroup } from './harness.ts';

let bed: Bed;
let binary: string;
let cgroup: TestCgroup;
let target: { containerId: string; pid: number; startTimeTicks: number };
beforeAll(async () => {
  bed = await makeBed();
  binary = bed.launcher.binary;
});
afterAll(() => bed.close());
beforeEach(async () => {
  cgroup = await makeCgroup();
  const request = await bed.request(['sleep', '1000'], { init: true });
  request.operations.unshift(...cgroup.operations);
  if (cgroup.cloneIntoCgroup) request.cloneIntoCgroup = cgroup.cloneIntoCgroup;
  target = { containerId: request.containerId, ...(await bed.launcher.launch(request)) };
});
afterEach(async () => {
  await bed.launcher.signal(target.containerId, 9);
  await bed.exit(target.containerId);
  await cgroup.remove();
});

const sh = (script: string): string[] => ['sh', '-c', script];

function start(argv: string[], change: Partial<ExecLaunchRequest> = {}): Promise<ExecSession> {
  const request: ExecLaunchRequest = {
    ...target,
    operations: cgroup.operations,
    ...(cgroup.cloneIntoCgroup && { cloneIntoCgroup: cgroup.cloneIntoCgroup }),
    argv,
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', MARK: 'yes' },
    ...change,
  };
  return startExec(binary, request);
}

test('a command runs inside: same namespaces, same cgroups, its own environment, its exit code told', async () => {
  const session = await start(
    sh('hostname; echo $MARK; ls -d /proc/[0-9]* | wc -l; cat /proc/self/cgroup; echo oops >&2; exit 17'),
  );
  session.stdin!.end();
  const [out, err] = await Promise.all([text(session.stdout), text(session.stderr!)]);
  const [host, mark, processes, ...groups] = out.trim().split('\n');
  expect([host, mark]).toEqual(['box', 'yes']);
  expect(Number(processes)).toBeLessThan(6);
  // Seen from the same cgroup namespace, the same cgroup is the root.
  expect(groups.filter((line) => line.includes('tepui'))).toEqual([]);
  expect(groups.join('\n')).toMatch(cgroup.v2 ? /0::\/$/m : /:memory:\/$/m);
  expect(err).toBe('oops\n');
  expect(await session.exit).toEqual({ exitCode: 17 });
});

test('input reaches it, and ends with the stream', async () => {
  const session = await start(['cat']);
  session.stdin!.write('hello ');
  session.stdin!.end('world');
  expect(await text(session.stdout)).toBe('hello world');
  expect(await session.exit).toEqual({ exitCode: 0 });
});

test('a megabyte goes through both ways', async () => {
  const session = await start(['cat']);
  const data = 'x'.repeat(1 << 20);
  session.stdin!.end(data);
  expect((await text(session.stdout)).length).toBe(data.length);
});

test('a reader that comes after the end finds everything', async () => {
  const session = await start(sh('echo out; echo err >&2'));
  session.stdin!.end();
  // Long after the launcher has exited.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const [out, err] = await Promise.all([text(session.stdout), text(session.stderr!)]);
  expect([out, err]).toEqual(['out\n', 'err\n']);
  expect(await session.exit).toEqual({ exitCode: 0 });
});

test('without input the command sees the end at once', async () => {
  const request = { ...target, operations: [], argv: ['cat'], env: { PATH: '/bin:/usr/bin' } };
  const session = await startExec(binary, request, { stdin: false });
  expect(await text(session.stdout)).toBe('');
  expect(await session.exit).toEqual({ exitCode: 0 });
});

test('it has no descriptor but its three', async () => {
  const session = await start(['ls', '-l', '/proc/self/fd']);
  expect((await text(session.stdout)).match(/-> /g)).toHaveLength(4);
});

test('a signal reaches it, and how it ended is told', async () => {
  const session = await start(['sleep', '100']);
  session.signal(15);
  expect(await session.exit).toEqual({ signal: 15 });
});

test('with a terminal: it is one, has a size, can be resized, and takes control characters', async () => {
  const session = await start(sh('tty; stty size; read x; stty size; exec cat'), { tty: { columns: 91, rows: 17 } });
  expect(session.stderr).toBeUndefined();
  let out = '';
  session.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  await eventually(() => out.includes('17 91'), 'the size');
  expect(out).toMatch(/\/dev\/pts\/\d+/);
  session.resize({ columns: 132, rows: 43 });
  session.stdin!.write('\n');
  await eventually(() => out.includes('43 132'), 'the new size');
  // A shell that is just waiting for stty takes an interrupt as meant for that one.
  session.stdin!.write('echo\n');
  await eventually(() => out.split('echo').length === 3, 'cat to run');
  session.stdin!.write('\x03');
  expect(await session.exit).toEqual({ signal: 2 });
});

test('with a terminal the end of input is an end-of-file character', async () => {
  const session = await start(sh('cat; echo done'), { tty: { columns: 80, rows: 24 } });
  session.stdin!.end('hi\n');
  expect(await text(session.stdout)).toContain('done');
  expect(await session.exit).toEqual({ exitCode: 0 });
});

test('it runs as the given user with the given restrictions, and can open its output again', async () => {
  const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
  const operations = [
    ...cgroup.operations,
    { op: 'rlimit' as const, resource: 7, soft: 77n, hard: 77n },
    { op: 'workingDirectory' as const, path: '/usr' },
    { op: 'user' as const, uid: 4321, gid: 4321, groups: [] },
    { op: 'capabilities' as const, ...none },
    { op: 'noNewPrivileges' as const },
  ];
  const script =
    'id -u; pwd; ulimit -n; echo again >/dev/stdout; grep -E "CapBnd|NoNew" /proc/self/status | tr -d "\\t"';
  const session = await start(sh(script), { operations });
  expect(await text(session.stdout)).toBe('4321\n/usr\n77\nagain\nCapBnd:0000000000000000\nNoNewPrivs:1\n');
  const terminal = await start(sh('echo again >/dev/tty; stat -c %u $(tty)'), {
    operations,
    tty: { columns: 80, rows: 24 },
  });
  expect(await text(terminal.stdout)).toBe('again\r\n4321\r\n');
});

test('what the command left in the background does not hold up its end', async () => {
  const session = await start(sh('sleep 100 & echo started'));
  expect(await session.exit).toEqual({ exitCode: 0 });
});

test('a command that is not there, and an operation that fails, are failures with their place', async () => {
  await expect(start(['nosuchcommand'])).rejects.toMatchObject({ name: 'LaunchFailed', step: 'exec', errno: 2 });
  const operations = [...cgroup.operations, { op: 'workingDirectory' as const, path: '/none' }];
  await expect(start(['true'], { operations })).rejects.toMatchObject({
    op: 'workingDirectory',
    opIndex: cgroup.operations.length,
    errno: 2,
  });
  await expect(
    start(['true'], { operations: [{ op: 'joinCgroup', path: '/sys/fs/cgroup/none/tasks' }] }),
  ).rejects.toMatchObject({ op: 'joinCgroup', errno: 2 });
  await expect(start(['true'], { operations: [{ op: 'mask', path: '/proc' }] })).rejects.toThrow(/mount namespace/);
});

test('a reused pid is noticed: another start time is another process', async () => {
  const error = await start(['true'], { startTimeTicks: target.startTimeTicks + 1 }).catch((reason: Error) => reason);
  expect(error).toBeInstanceOf(LaunchFailed);
  expect(error).toMatchObject({ message: expect.stringContaining('not running') });
});

test('the end of the container is the end of the command', async () => {
  const session = await start(['sleep', '100']);
  await bed.launcher.signal(target.containerId, 9);
  expect(await session.exit).toEqual({ signal: 9 });
});

test('when whoever asked is gone, so is the command', async () => {
  const marker = `82${process.pid}`;
  const session = await start(['sleep', marker]);
  expect(await processesWith(marker)).toHaveLength(1);
  (session.stdin as unknown as { destroy(): void }).destroy();
  const helper = await helperOf(marker);
  process.kill(helper, 'SIGKILL');
  await eventually(async () => (await processesWith(marker)).length === 0, 'its end');
  expect(await session.exit).toEqual({ signal: 9 });
});

test('output that nobody takes any more does not hold up its end', async () => {
  const session = await start(['head', '-c', '1000000', '/dev/zero']);
  session.stdin!.end();
  session.stdout.on('error', () => {});
  (session.stdout as Readable).destroy();
  expect(await session.exit).toEqual({ signal: 13 });
});

test('the launcher in the container is a sealed copy that cannot be written to or traced', async () => {
  const marker = `83${process.pid}`;
  await start(['sleep', marker]);
  const helper = await helperOf(marker);
  const { readlink } = await import('node:fs/promises');
  expect(await readlink(`/proc/${helper}/exe`)).toContain('memfd:tepui-launcher');
  const session = await start(
    sh('for p in /proc/[0-9]*; do (: >$p/exe) 2>/dev/null && echo "wrote $p"; done; readlink /proc/1/exe; true'),
  );
  expect(await text(session.stdout)).not.toContain('wrote');
});

async function helperOf(marker: string): Promise<number> {
  const [pid] = await processesWith(marker);
  return Number((await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[1]);
}
