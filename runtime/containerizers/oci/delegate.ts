/** Hands containers to an OCI runtime: `<runtime> run` under the launcher's supervision, in a mount namespace in which the root file system is made. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { CgroupHost } from '../../cgroups/detect.ts';
import { removeEverywhere } from '../../cgroups/leftovers.ts';
import { boundingNames } from '../../isolators/capabilities.ts';
import { throttlesOf } from '../../isolators/cgroups/io.ts';
import { memoryLimitation } from '../../isolators/cgroups/memory.ts';
import type { ContainerSpec, Isolator, IsolatorHost } from '../../isolators/isolator.ts';
import { seccompProfileOf } from '../../isolators/seccomp.ts';
import type { LaunchRequest, Operation } from '../../launcher/operations.ts';
import { toOciSeccomp } from '../../seccomp/oci.ts';
import { nativeArch } from '../../seccomp/syscalls.ts';
import type { ExecRequest, LaunchedContainer } from '../containerizer.ts';
import { exactNumber } from '../exact-number.ts';
import type { Delegate, DelegatedExec } from '../native/delegate.ts';
import { sessionOperations } from '../native/launch-request.ts';
import { startTimeOf } from '../native/start-time.ts';
import { toBlockIo } from './block-io.ts';
import type { Bundles } from './bundles.ts';
import { newProcess, toOci, translateProcess } from './config.ts';
import { callRuntime, type OciRuntime } from './runtime.ts';

/** The runtime makes this group below ours, which has the limits and outlives it: so counters can be read after the end. */
export const payloadGroup = 'payload';
/** Where the init program appears in the container. */
const initPath = '/dev/.init';
const pollMs = 3;
const SIGKILL = 9;
/** MEMCG_CHARGE_BATCH of the kernel: 64 pages for each processor that the container ran on; four of them. */
const chargeBatchBytes = 4 * 64 * 4096;
const runtimePath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface OciDelegateOptions {
  runtime: OciRuntime;
  bundles: Bundles;
  /** The runtime's own state directory. */
  state: string;
  host: IsolatorHost;
  cgroupHost: CgroupHost;
  /** Path of our groups below each hierarchy. */
  cgroupRoot: string;
  /** The launcher's program, which is also the init of containers; absent when it cannot run inside an image (it is not static). */
  init?: string;
  isolators(): Isolator[];
  specOf(containerId: string): ContainerSpec | undefined;
}

export function createOciDelegate(options: OciDelegateOptions): Delegate {
  const { runtime, bundles, state, host, cgroupHost, cgroupRoot } = options;
  const bounding = boundingNames(host.policy);
  const hidden = cgroupHost.version === 'hybrid' ? cgroupHost.unified : undefined;
  const call = (args: string[]) => callRuntime(runtime, state, args, hidden);
  const pathOf = (containerId: string) => {
    const group = host.cgroups.groupOf(containerId);
    return group === undefined ? containerId : `${group}/${containerId}`;
  };
  let execs = 0;

  return {
    async adapt(request, spec) {
      const profile = await seccompProfileOf(spec, host.seccompDirectory);
      const context = { arch: nativeArch(), kernel: release(), capabilities: bounding(spec) };
      const ownGroup = cgroupHost.version === 'v2' ? host.cgroups.unified(spec.containerId) : undefined;
      const throttles = host.cgroups.extra.version('io') === 'v1' ? throttlesOf(spec.container) : [];
      const { config, operations } = toOci(withInit(request, options.init), {
        rootMountPoint: host.rootMountPoint,
        cgroupsPath: `/${cgroupRoot}/${pathOf(spec.containerId)}/${payloadGroup}`,
        ...(ownGroup !== undefined && { ownGroup }),
        ...(throttles.length > 0 && { blockIo: toBlockIo(throttles) }),
        ...(profile && { seccomp: toOciSeccomp(profile, context, exactNumber) }),
      });
      if (options.init !== undefined) config.mounts.push(initMount(options.init));
      bundles.write(spec.containerId, config);
      return runtimeRequest(request, operations, options);
    },

    async started({ containerId }, ended) {
      let over = false;
      void ended.then(() => {
        over = true;
      });
      while (bundles.pid(containerId) === undefined) {
        if (over && bundles.pid(containerId) === undefined)
          throw new Error(
            `${runtime.name}: ${bundles.complaint(containerId) ?? 'ended before the container was made'}`,
          );
        await delay(pollMs);
      }
    },

    async signal(containerId, signal) {
      await call(['kill', '--all', containerId, String(signal)]).catch((error: Error) => {
        // It ended meanwhile: what the caller wanted.
        if (!/not running|does not exist|no such process|process already finished/i.test(error.message)) throw error;
      });
    },

    limitation({ containerId, exitCode, signal }) {
      const { memory } = host.cgroups;
      if (memory.killsWholeGroup || (exitCode !== 128 + SIGKILL && signal !== SIGKILL)) return undefined;
      // cgroup v1 counts kills in the runtime's group, which is gone. Ours tells how close to the limit it came: the kernel charges in batches.
      const { limitBytes, peakBytes } = memory.usage(containerId);
      if (limitBytes === undefined || peakBytes === undefined || peakBytes < limitBytes - chargeBatchBytes)
        return undefined;
      return memoryLimitation(limitBytes, peakBytes);
    },

    async exec(request, supervised, env) {
      const spec = options.specOf(request.containerId)!;
      return execIn(request, supervised, env, sessionOperations(spec, options.isolators()), options, execs++);
    },

    processOf(containerId) {
      const pid = bundles.pid(containerId);
      const startTimeTicks = pid === undefined ? undefined : startTimeOf(pid);
      return pid === undefined || startTimeTicks === undefined ? undefined : { pid, startTimeTicks };
    },

    async remove(containerId) {
      // What the runtime does not know any more (it was killed before it wrote its state) has no processes outside of our group.
      await call(['delete', '--force', containerId]).catch(() => {});
      await removeEverywhere(`${cgroupRoot}/${pathOf(containerId)}`);
      bundles.remove(containerId);
    },
  };
}

/** A command at pid 1 would ignore SIGTERM unless it has a handler, and would have to reap orphans. */
function withInit(request: LaunchRequest, init: string | undefined): LaunchRequest {
  if (init === undefined || !request.namespaces.pid) return request;
  return { ...request, argv: [initPath, 'init', ...request.argv] };
}

function initMount(init: string) {
  return {
    destination: initPath,
    type: 'bind',
    source: init,
    options: ['bind', 'ro', 'nosuid', 'nodev', 'rprivate'],
  };
}

/** The launcher's part: build the root file system, then become the runtime. */
function runtimeRequest(request: LaunchRequest, operations: Operation[], options: OciDelegateOptions): LaunchRequest {
  const { runtime, bundles, state, cgroupHost } = options;
  const { containerId, tty = false, stdin = false, stdout, stderr, exitRecord } = request;
  const isHybrid = cgroupHost.version === 'hybrid';
  const [propagation, ...rest] = operations;
  return {
    containerId,
    namespaces: { mount: true, pid: false, ipc: false, uts: false, cgroup: false, network: false },
    // On a hybrid host the runtime does not see the v2 mount (crun would refuse to work), so the container stays in our group there.
    ...(isHybrid && request.cloneIntoCgroup !== undefined && { cloneIntoCgroup: request.cloneIntoCgroup }),
    operations: [
      propagation!,
      ...(isHybrid ? [hideUnified(cgroupHost.unified!)] : []),
      ...rest.filter(({ op }) => op !== 'pivotRoot'),
      ...(tty ? [{ op: 'terminal' as const, ofHost: true }] : []),
    ],
    tty,
    stdin,
    argv: [
      runtime.path,
      ...['--root', state, '--log', bundles.logFile(containerId), '--log-format', 'json'],
      ...['run', '--bundle', bundles.pathOf(containerId), '--pid-file', bundles.pidFile(containerId), containerId],
    ],
    env: { PATH: runtimePath },
    stdout,
    stderr,
    exitRecord,
  };
}

/** Writable: crun makes a directory in it. */
function hideUnified(target: string): Operation {
  return {
    op: 'mount',
    source: 'tmpfs',
    target,
    fstype: 'tmpfs',
    flags: ['nosuid', 'nodev', 'noexec'],
    data: 'mode=0755',
  };
}

/** `<runtime> exec`, run beside the supervised `<runtime> run`: there it finds the container's state and, for a terminal, one of the host. */
function execIn(
  request: ExecRequest,
  supervised: LaunchedContainer,
  env: Record<string, string>,
  operations: Operation[],
  { runtime, bundles, state }: OciDelegateOptions,
  number: number,
): DelegatedExec {
  const { containerId, argv, tty, size } = request;
  const process = newProcess({ argv, env });
  for (const operation of operations) translateProcess(operation, process);
  const { columns = 80, rows = 24 } = size ?? {};
  process.terminal = tty;
  if (tty) process.consoleSize = { height: rows, width: columns };
  const files = bundles.writeExec(containerId, `${globalThis.process.pid}-${number}`, process);
  return {
    launch: {
      containerId,
      pid: supervised.pid,
      startTimeTicks: supervised.startTimeTicks,
      operations: [],
      argv: [
        runtime.path,
        ...['--root', state, 'exec', '--process', files.process, '--pid-file', files.pid],
        containerId,
      ],
      env: { PATH: runtimePath },
      ...(tty && { tty: { columns, rows } }),
    },
    signal(signal) {
      const pid = readPid(files.pid);
      if (pid !== undefined) signalIfThere(pid, signal);
    },
    done: files.remove,
  };
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function signalIfThere(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
