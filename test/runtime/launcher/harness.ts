/** What the launcher's tests share: a runtime directory, cgroups of their own, and a request for a fully isolated container on the host's files. */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { connectLauncher, type Launcher } from '../../../runtime/launcher/client.ts';
import type { ExitRecord, LaunchRequest, Operation } from '../../../runtime/launcher/operations.ts';
import { SLOW } from '../../setup/slow.ts';

export interface Bed {
  dir: string;
  launcher: Launcher;
  /** A container with every namespace and a private view of the host's file system. `change` may alter the request. */
  request(argv: string[], change?: Partial<LaunchRequest>): Promise<LaunchRequest>;
  /** Launches, and waits for the end. */
  run(argv: string[], change?: Partial<LaunchRequest>): Promise<{ record: ExitRecord; stdout: string; stderr: string }>;
  exit(containerId: string): Promise<ExitRecord>;
  reconnect(): Promise<Launcher>;
  close(): Promise<void>;
}

let serial = 0;

/** TEPUI_SANITIZE=1 runs the suites on a launcher with AddressSanitizer and UBSan. */
export async function makeBed(): Promise<Bed> {
  const binary = await buildLauncher({ sanitize: process.env.TEPUI_SANITIZE === '1' });
  const dir = await mkdtemp(join(tmpdir(), 'tepui-launcher-'));
  const runtimeDir = join(dir, 'run');
  const connect = (): Promise<Launcher> => connectLauncher({ runtimeDir, binary });
  const ends = new Map<string, ExitRecord>();
  const listen = (launcher: Launcher): Launcher =>
    launcher.on('exit', (record) => ends.set(record.containerId, record));
  const bed: Bed = {
    dir,
    launcher: listen(await connect()),
    async request(argv, change = {}) {
      const containerId = change.containerId ?? `c${process.pid}-${++serial}`;
      const home = join(dir, containerId);
      await mkdir(join(home, 'root'), { recursive: true });
      const sink = (name: string) => ({ path: join(home, name), maxBytes: 1 << 20, maxFiles: 2, uid: 0, gid: 0 });
      return {
        containerId,
        namespaces: { mount: true, pid: true, ipc: true, uts: true, cgroup: true, network: true },
        operations: isolated(join(home, 'root')),
        argv,
        env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' },
        stdout: sink('stdout'),
        stderr: sink('stderr'),
        exitRecord: join(home, 'exit'),
        ...change,
      };
    },
    async run(argv, change) {
      const request = await bed.request(argv, change);
      await bed.launcher.launch(request);
      const record = await bed.exit(request.containerId);
      const [stdout, stderr] = await Promise.all(
        [request.stdout, request.stderr].map((sink) => readFile(sink.path, 'utf8')),
      );
      return { record, stdout: stdout ?? '', stderr: stderr ?? '' };
    },
    exit: (containerId) => eventually(() => ends.get(containerId), `exit of ${containerId}`),
    async reconnect() {
      bed.launcher.close();
      bed.launcher = listen(await connect());
      return bed.launcher;
    },
    async close() {
      for (const { containerId } of await bed.launcher.list()) await bed.launcher.signal(containerId, 9);
      await eventually(async () => (await bed.launcher.list()).length === 0, 'all containers to end');
      await bed.launcher.shutdownIfIdle();
      bed.launcher.close();
      await eventually(async () => (await mountsBelow(dir)).length === 0, 'no mounts to be left');
      await rm(dir, { recursive: true, force: true });
    },
  };
  return bed;
}

const devices: [string, number, number][] = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
];

/** The host's files read-only, with private /proc, /dev, /tmp: the root of a test container. */
export function isolated(root: string): Operation[] {
  return [
    { op: 'mount', source: '/', target: root, flags: ['rbind'] },
    { op: 'enterRoot', path: root },
    { op: 'setMountAttributes', target: '/', set: ['ro', 'nosuid'], recursive: true },
    { op: 'mount', source: 'proc', target: '/proc', fstype: 'proc', flags: ['nosuid', 'nodev', 'noexec'] },
    {
      op: 'mount',
      source: 'tmpfs',
      target: '/tmp',
      fstype: 'tmpfs',
      flags: ['nosuid', 'nodev'],
      data: 'mode=1777,size=16m',
    },
    { op: 'mount', source: 'tmpfs', target: '/dev', fstype: 'tmpfs', flags: ['nosuid'], data: 'mode=755,size=64k' },
    ...devices.map(
      ([name, major, minor]): Operation => ({
        op: 'mknod',
        path: `/dev/${name}`,
        type: 'c',
        major,
        minor,
        mode: 0o666,
      }),
    ),
    { op: 'mkdir', path: '/dev/pts', mode: 0o755 },
    {
      op: 'mount',
      source: 'devpts',
      target: '/dev/pts',
      fstype: 'devpts',
      flags: ['nosuid', 'noexec'],
      data: 'newinstance,ptmxmode=0666,mode=0620',
    },
    { op: 'symlink', target: 'pts/ptmx', path: '/dev/ptmx' },
    { op: 'symlink', target: '/proc/self/fd', path: '/dev/fd' },
    { op: 'symlink', target: '/proc/self/fd/1', path: '/dev/stdout' },
    { op: 'symlink', target: '/proc/self/fd/2', path: '/dev/stderr' },
    { op: 'mask', path: '/proc/kcore' },
    { op: 'mask', path: '/proc/acpi' },
    { op: 'mask', path: '/sys/firmware' },
    { op: 'readOnly', path: '/proc/sys' },
    { op: 'pivotRoot' },
    { op: 'hostname', name: 'box' },
    { op: 'loopbackUp' },
  ];
}

export async function eventually<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  ms = 10_000,
): Promise<T> {
  for (const end = Date.now() + ms * SLOW; ; await sleep(3)) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${ms * SLOW} ms for ${what}`);
  }
}

/** False in the virtual machine of the v2 suite, for example: tests that compile are skipped there. */
export const hasCompiler = spawnSync(process.env.CC ?? 'cc', ['--version']).status === 0;

export async function mountsBelow(dir: string): Promise<string[]> {
  return (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(` ${dir}/`));
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Running processes (no zombies) whose command line has this text. */
export async function processesWith(text: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(text)) found.push(Number(name));
  }
  return found;
}

/** A cgroup in each of the host's hierarchies, or one v2 directory. */
export interface TestCgroup {
  operations: Operation[];
  cloneIntoCgroup?: string;
  /** Where memory.* and pids.* are. */
  memory: string;
  pids: string;
  v2: boolean;
  remove(): Promise<void>;
}

export async function makeCgroup(name = `tepui-test-${process.pid}-${++serial}`): Promise<TestCgroup> {
  const v2 = await exists('/sys/fs/cgroup/cgroup.controllers');
  const base = '/sys/fs/cgroup';
  const dirs = v2 ? [join(base, name)] : ['memory', 'pids', 'cpu'].map((controller) => join(base, controller, name));
  const unified = v2 || (await exists('/sys/fs/cgroup/unified/cgroup.procs'));
  if (!v2 && unified) dirs.push(join(base, 'unified', name));
  for (const dir of dirs) await mkdir(dir);
  const last = dirs.at(-1)!;
  return {
    operations: dirs.slice(0, unified ? -1 : undefined).map((dir) => ({ op: 'joinCgroup', path: join(dir, 'tasks') })),
    ...(unified && { cloneIntoCgroup: last }),
    memory: dirs[0]!,
    pids: v2 ? dirs[0]! : dirs[1]!,
    v2,
    async remove() {
      for (const dir of dirs)
        await eventually(
          () =>
            rmdir(dir).then(
              () => true,
              (error) => error.code === 'ENOENT',
            ),
          `removal of ${dir}`,
        );
    },
  };
}
