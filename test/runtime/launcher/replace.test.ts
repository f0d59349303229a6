/** A launcher of another build is replaced; what it supervised goes on and is known to the new one. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { hierarchiesToLeave } from '../../../runtime/cgroups/launcher-groups.ts';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { connectLauncher } from '../../../runtime/launcher/client.ts';
import { encodeLaunch } from '../../../runtime/launcher/encode.ts';
import type { ExitRecord, LaunchRequest } from '../../../runtime/launcher/operations.ts';
import { eventually, hasCompiler, isolated, processesWith } from './harness.ts';

const run = promisify(execFile);
const compiled = hasCompiler && process.getuid?.() === 0 ? describe : describe.skip; // needs cc and root
const sources = join(import.meta.dirname, '../../../runtime/launcher/src');

compiled('a launcher of another protocol', () => {
  let builds: string;
  let directory: string;
  let other: string;
  let binary: string;
  beforeAll(async () => {
    builds = await mkdtemp('/var/lib/tepui-builds-');
    other = join(builds, 'other-launcher');
    const files = (await readdir(sources)).filter((name) => name.endsWith('.c')).map((name) => join(sources, name));
    await run('cc', ['-std=gnu11', '-O1', '-DPROTOCOL_VERSION=1', '-DBUILD_ID="other"', '-o', other, ...files]);
    binary = await buildLauncher();
  }, 300_000);
  afterAll(() => rm(builds, { recursive: true }));
  beforeEach(async () => {
    directory = await mkdtemp('/var/lib/tepui-replace-');
    await mkdir(join(directory, 'run'), { mode: 0o700 });
  });
  afterEach(() => rm(directory, { recursive: true }));

  test('is replaced, and its containers are listed, signalled and their end is told', async () => {
    const runtimeDir = join(directory, 'run');
    const home = join(directory, 'home');
    await mkdir(join(home, 'root'), { recursive: true });
    const sink = (name: string) => ({ path: join(home, name), maxBytes: 1 << 20, maxFiles: 2, uid: 0, gid: 0 });
    const request: LaunchRequest = {
      containerId: 'kept',
      namespaces: { mount: true, pid: true, ipc: true, uts: true, cgroup: true, network: true },
      init: true,
      operations: isolated(join(home, 'root')),
      argv: ['sh', '-c', 'trap "exit 7" TERM; echo up; while :; do sleep 0.02; done'],
      env: { PATH: '/usr/bin:/bin' },
      stdout: sink('stdout'),
      stderr: sink('stderr'),
      exitRecord: join(home, 'exit'),
    };
    await run(other, ['serve', runtimeDir]);
    const socket = connect(join(runtimeDir, 'launcher.sock'));
    socket.write(encodeLaunch(request, 1));
    await eventually(
      async () => (await readFile(join(home, 'stdout'), 'utf8').catch(() => '')) === 'up\n',
      'the start',
    );

    const launcher = await connectLauncher({ runtimeDir, binary });
    expect((await launcher.ping()).protocol).toBe(2);
    expect(await launcher.list()).toMatchObject([{ containerId: 'kept', state: 'running' }]);
    launcher.track('kept', request.exitRecord);
    const ended = new Promise<ExitRecord>((resolve) => void launcher.once('exit', resolve));
    expect(await launcher.signal('kept', 15)).toBeGreaterThan(0);
    expect(await ended).toMatchObject({ containerId: 'kept', exitCode: 7 });
    socket.destroy();
    await eventually(() => launcher.shutdownIfIdle(), 'the end of the supervisor');
    launcher.close();
    await eventually(async () => (await processesWith(runtimeDir)).length === 0, 'the end of all');
  });

  test('moves to groups that it is given, and takes them away at its end', async () => {
    const runtimeDir = join(directory, 'run');
    const mount = (await readdir('/sys/fs/cgroup')).includes('pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup';
    const name = `tepui-test-${process.pid}/node/_launcher`;
    await mkdir(join(mount, name), { recursive: true });
    const launcher = await connectLauncher({ runtimeDir, binary, groups: () => [mount, name] });
    const members = (await readFile(join(mount, name, 'cgroup.procs'), 'utf8')).trim().split('\n');
    expect(members).toEqual((await processesWith(runtimeDir)).map(String));
    await launcher.shutdownIfIdle();
    launcher.close();
    await eventually(async () => !(await readdir(mount)).includes(`tepui-test-${process.pid}`), 'the end of its group');
  });
});

test('the hierarchies to leave are those in which the agent is below the top', () => {
  const mountinfo = [
    '30 1 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
    '31 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '32 1 0:3 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd',
    '33 1 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
  ].join('\n');
  const own = '4:cpu,cpuacct:/pod/x\n3:memory:/\n2:name=systemd:/pod/x\n9:hugetlb:/pod/x\n0::/pod/x\n';
  expect(hierarchiesToLeave(mountinfo, own)).toEqual([
    '/sys/fs/cgroup/cpu,cpuacct',
    '/sys/fs/cgroup/systemd',
    '/sys/fs/cgroup/unified',
  ]);
});
