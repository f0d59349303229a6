/** Our contender: the resident launcher, asked as the agent asks it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Launcher } from '../../runtime/launcher/client.ts';
import type { LaunchRequest, Operation } from '../../runtime/launcher/operations.ts';
import { type BenchBed, type Group, makeGroup, maskedPaths, readonlyPaths } from './bed.ts';

export interface NativeOptions {
  seccomp?: Uint8Array;
  init?: boolean;
  /** Groups made beforehand and used again, as an agent with a pool has them. */
  pool?: Group[];
  /** With user ids of its own, mapped in the root file system. */
  ownIds?: boolean;
  /** The root file system as the only layer of an image. */
  image?: boolean;
  /** Where logs and the exit record go. */
  home: string;
}

let serial = 0;
const ids = { hostId: 1_879_048_192, size: 65_536 };

/** The same container that `crun spec` describes: its mounts, devices, masks and capabilities. */
function operations(bed: BenchBed, { seccomp, ownIds = false, image = false }: NativeOptions): Operation[] {
  const root = image ? join(bed.dir, 'image-root') : bed.rootfs;
  if (image) mkdirSync(root, { recursive: true });
  const owner = ownIds ? ids.hostId : 0;
  const plain = ['nosuid', 'nodev', 'noexec'] as const;
  const node = (name: string, major: number, minor: number): Operation => ({
    op: 'mknod',
    path: `/dev/${name}`,
    type: 'c',
    major,
    minor,
    mode: 0o666,
  });
  const caps = [5, 10, 29]; // KILL, NET_BIND_SERVICE, AUDIT_WRITE
  return [
    image
      ? {
          op: 'overlay',
          target: root,
          layers: [bed.rootfs],
          changes: 'memory',
          flags: ['nodev', 'idmap'],
          root: { mode: 0o755, uid: owner, gid: owner },
        }
      : { op: 'mount', source: root, target: root, flags: ['rbind', 'ro', 'idmap'] },
    { op: 'enterRoot', path: root },
    ...(image ? ([{ op: 'mkdir', path: '/proc', mode: 0o755 }] as const) : []),
    { op: 'mount', source: 'proc', target: '/proc', fstype: 'proc', flags: [...plain] },
    { op: 'mount', source: 'tmpfs', target: '/dev', fstype: 'tmpfs', flags: ['nosuid'], data: 'mode=755,size=65536k' },
    ...(['pts', 'shm', 'mqueue'].map((name) => ({ op: 'mkdir', path: `/dev/${name}`, mode: 0o755 })) as Operation[]),
    {
      op: 'mount',
      source: 'devpts',
      target: '/dev/pts',
      fstype: 'devpts',
      flags: ['nosuid', 'noexec'],
      data: 'newinstance,ptmxmode=0666,mode=0620',
    },
    {
      op: 'mount',
      source: 'shm',
      target: '/dev/shm',
      fstype: 'tmpfs',
      flags: [...plain],
      data: 'mode=1777,size=65536k',
    },
    { op: 'mount', source: 'mqueue', target: '/dev/mqueue', fstype: 'mqueue', flags: [...plain] },
    { op: 'mount', source: 'sysfs', target: '/sys', fstype: 'sysfs', flags: [...plain, 'ro'] },
    node('null', 1, 3),
    node('zero', 1, 5),
    node('full', 1, 7),
    node('random', 1, 8),
    node('urandom', 1, 9),
    node('tty', 5, 0),
    { op: 'symlink', target: 'pts/ptmx', path: '/dev/ptmx' },
    { op: 'symlink', target: '/proc/self/fd', path: '/dev/fd' },
    ...maskedPaths.map((path): Operation => ({ op: 'mask', path })),
    ...readonlyPaths.map((path): Operation => ({ op: 'readOnly', path })),
    ...(image ? ([{ op: 'setMountAttributes', target: '/', set: ['ro'], recursive: false }] as Operation[]) : []),
    { op: 'pivotRoot' },
    { op: 'hostname', name: 'bench' },
    { op: 'loopbackUp' },
    { op: 'rlimit', resource: 7, soft: 1024n, hard: 1024n },
    ...(ownIds
      ? ([
          { op: 'userNamespace', owner },
          { op: 'user', uid: 0, gid: 0, groups: [] },
        ] as Operation[])
      : []),
    { op: 'capabilities', bounding: caps, effective: caps, permitted: caps, inheritable: [], ambient: [] },
    { op: 'noNewPrivileges' },
    ...(seccomp ? ([{ op: 'seccomp', program: seccomp }] as Operation[]) : []),
  ];
}

/** Makes the groups, launches, waits for the end and removes the groups. Resolves with the microseconds that took. */
export async function launchOnce(launcher: Launcher, bed: BenchBed, options: NativeOptions): Promise<number> {
  const start = performance.now();
  const pooled = options.pool?.pop();
  const group = pooled ?? makeGroup(`tepui-bench-${process.pid}-${++serial}`);
  const request = nativeRequest(bed, options, group, ['/bin/true']);
  const end = new Promise<void>((resolve, reject) => {
    ends.set(request.containerId, (code) =>
      code === 0 ? resolve() : reject(new Error(`/bin/true ended with ${code}`)),
    );
  });
  await launcher.launch(request);
  await end;
  if (pooled) options.pool?.push(pooled);
  else group.remove();
  return (performance.now() - start) * 1000;
}

const ends = new Map<string, (exitCode: number | undefined) => void>();

export function followEnds(launcher: Launcher): void {
  launcher.on('exit', ({ containerId, exitCode }) => {
    ends.get(containerId)?.(exitCode);
    ends.delete(containerId);
  });
}

export function nativeRequest(bed: BenchBed, options: NativeOptions, group: Group, argv: string[]): LaunchRequest {
  const containerId = `b${process.pid}-${++serial}`;
  const home = join(options.home, containerId);
  mkdirSync(home);
  const sink = { maxBytes: 10 << 20, maxFiles: 2, uid: 0, gid: 0 };
  return {
    containerId,
    namespaces: { mount: true, pid: true, ipc: true, uts: true, cgroup: true, network: true },
    init: options.init ?? false,
    ...(options.ownIds && { userNamespace: { uids: ids, gids: ids } }),
    ...(group.cloneIntoCgroup && { cloneIntoCgroup: group.cloneIntoCgroup }),
    operations: [...group.tasks.map((path): Operation => ({ op: 'joinCgroup', path })), ...operations(bed, options)],
    argv,
    env: { PATH: '/bin', TERM: 'xterm' },
    stdout: { ...sink, path: join(home, 'stdout') },
    stderr: { ...sink, path: join(home, 'stderr') },
    // As the containerizer has them: in one flat directory.
    exitRecord: `${home}.json`,
  };
}
