/** The peers: crun and runc, with a bundle of the same namespaces, limits and root file system, timed as spawned processes. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BenchBed, limits, maskedPaths, readonlyPaths, run } from './bed.ts';

export interface Peer {
  name: string;
  /** Microseconds of each of `count` runs. */
  times(count: number): Promise<number[]>;
}

/** Undefined when the runtime is not installed or does not work here; `why` is told. */
export async function ociPeer(
  bed: BenchBed,
  runtime: string,
  seccomp: boolean,
): Promise<Peer | { name: string; why: string }> {
  const name = `${runtime} run${seccomp ? ' + seccomp' : ''}`;
  const bundle = join(bed.dir, `bundle-${runtime}-${seccomp}`);
  mkdirSync(bundle, { recursive: true });
  try {
    await run(runtime, ['--version']);
    await run(runtime, ['spec'], { cwd: bundle });
    adapt(join(bundle, 'config.json'), bed.rootfs, seccomp);
    const peer: Peer = { name, times: (count) => times(bed, runtime, bundle, count) };
    await peer.times(2);
    return peer;
  } catch (error) {
    return { name, why: (error as { stderr?: string }).stderr?.trim().split('\n').at(-1) || String(error) };
  }
}

interface Config {
  process: { terminal: boolean; args: string[] };
  root: { path: string; readonly: boolean };
  linux: Record<string, unknown>;
}

function adapt(path: string, rootfs: string, seccomp: boolean): void {
  const config = JSON.parse(readFileSync(path, 'utf8')) as Config;
  config.process.terminal = false;
  config.process.args = ['/bin/true'];
  config.root = { path: rootfs, readonly: true };
  config.linux.namespaces = ['pid', 'network', 'ipc', 'uts', 'cgroup', 'mount'].map((type) => ({ type }));
  config.linux.resources = {
    cpu: { quota: limits.cpuQuotaUs, period: limits.cpuPeriodUs },
    memory: { limit: limits.memoryBytes },
    pids: { limit: limits.pids },
  };
  config.linux.maskedPaths = maskedPaths;
  config.linux.readonlyPaths = readonlyPaths;
  if (seccomp) config.linux.seccomp = ociSeccomp();
  writeFileSync(path, JSON.stringify(config));
}

/** Our default profile for a container without capabilities, in OCI's form. */
function ociSeccomp(): unknown {
  const path = fileURLToPath(new URL('../../runtime/seccomp/default-profile.json', import.meta.url));
  const { syscalls, ...profile } = JSON.parse(readFileSync(path, 'utf8')) as {
    syscalls: { includes?: unknown; names: string[] }[];
  };
  const kept = syscalls
    .filter((entry) => !entry.includes)
    .map(({ names, ...entry }) => ({ names, ...pick(entry, ['action', 'errnoRet', 'args']) }));
  const { defaultAction, defaultErrnoRet } = profile as { defaultAction?: string; defaultErrnoRet?: number };
  return { defaultAction, defaultErrnoRet, architectures: ['SCMP_ARCH_X86_64'], syscalls: kept };
}

function pick(from: object, names: string[]): object {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}

/** crun refuses a host with a v2 mount beside its v1 controllers: it does not get to see that one. */
async function times(bed: BenchBed, runtime: string, bundle: string, count: number): Promise<number[]> {
  const hide = existsSync('/sys/fs/cgroup/unified') ? 'umount -l /sys/fs/cgroup/unified && ' : '';
  const script = `${hide}exec "$0" "$@"`;
  const command = [
    bed.spawnTimes,
    String(count),
    runtime,
    '--root',
    join(bed.dir, `state-${runtime}`),
    'run',
    '--bundle',
    bundle,
    '%',
  ];
  const { stdout } = await run('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script, ...command]);
  return stdout.trim().split('\n').map(Number);
}
