/**
 * The native containerizer: isolators say what a container is, the launcher makes it so. This file puts the parts together; each verb is a
 * file beside it.
 */
import { mkdirSync, realpathSync } from 'node:fs';
import type { Logger } from 'pino';
import type { AgentIsolation, Task } from '../../../crds/types.generated.ts';
import { openCgroups } from '../../cgroups/index.ts';
import { makeLauncherGroups } from '../../cgroups/launcher-groups.ts';
import { namesInUse } from '../../isolators/disabled.ts';
import { createIsolators } from '../../isolators/index.ts';
import type { ContainerSpec, Isolator, IsolatorHost } from '../../isolators/isolator.ts';
import { buildLauncher } from '../../launcher/build.ts';
import { connectLauncher } from '../../launcher/client.ts';
import { type FileSystemFeatures, probeFileSystem } from '../../launcher/probe.ts';
import { rootlessState } from '../../rootless/state.ts';
import type { Containerizer, ContainerResources, ResourceStatistics, Termination } from '../containerizer.ts';
import { createOrphans } from '../orphans.ts';
import { attachToContainer } from './attach.ts';
import { readBootId } from './boot-id.ts';
import type { Container } from './container.ts';
import type { NativeContext } from './context.ts';
import type { Delegate } from './delegate.ts';
import { destroyContainer } from './destroy.ts';
import { dialContainer } from './dial.ts';
import { endForLimitation } from './end-for-limitation.ts';
import { ContainerNotRunning, copyWithContainer, execInContainer } from './exec.ts';
import { containerExited } from './exits.ts';
import {
  destroyGroup,
  groupEnded,
  ownResources,
  prepareGroup,
  sharedProcess,
  sharesLimits,
  updateShared,
} from './group.ts';
import { checkHost } from './host-check.ts';
import { launchContainer } from './launch.ts';
import { loadIsolators } from './launch-request.ts';
import { createLimitationWatch } from './limitation-watch.ts';
import { openRecords } from './records.ts';
import { recoverContainers } from './recover.ts';
import { lostTermination, terminationOf } from './termination.ts';
import { declaredGaps, hostProblems, problemsHere, unsupportedFields } from './unsupported.ts';

export interface NativeOptions {
  /** The machine's data directory: `<dataDir>/agent/containers` holds our exit records, and no container sees any of it but its sandbox. */
  dataDir: string;
  /** Per-boot directory below /run (tmpfs): the launcher's socket, and our launch records. */
  runtimeDir: string;
  /** Path of our cgroups below each hierarchy, for example `tepui/<instance>`. */
  cgroupRoot: string;
  logger: Logger;
  options?: {
    /** The launcher's program. Default: built on first use. */
    launcherBinary?: string;
    /** Seccomp profiles for type Localhost. Default `<dataDir>/agent/seccomp`. */
    seccompDir?: string;
    /** Agent.spec.isolation, asked for at each launch. Default: the built-in policy. */
    isolation?: () => AgentIsolation | undefined;
    /** Host ports that the agent gives to tasks, asked for now and then. Default: none, and none are enforced. */
    portRanges?: () => string | undefined;
    /** Between two looks at listening sockets, for tests. Default: 30 000. */
    portsIntervalMs?: number;
    /** Of the machine; for tests of a restart. */
    bootId?: string;
    /** What this host can do. Default: found out. */
    features?: FileSystemFeatures;
    /** Default `<dataDir>/agent/containers`. */
    exitDirectory?: string;
    /** Somebody else who makes the containers; see delegate.ts. */
    delegate?: {
      name: Containerizer['name'];
      unsupported(task: Task): string[];
      create(context: NativeContext, host: IsolatorHost): Delegate;
    };
  };
}

/** Rejects when this host cannot isolate containers: no cgroup controllers, no compiler for the launcher, not root. */
export async function createNativeContainerizer({
  dataDir,
  runtimeDir,
  cgroupRoot,
  logger,
  options = {},
}: NativeOptions): Promise<Containerizer> {
  checkHost();
  const dataDirectory = realpathSync(dataDir);
  const rootMountPoint = `${runtimeDir}/root`;
  mkdirSync(rootMountPoint, { recursive: true, mode: 0o700 });
  const binary = options.launcherBinary ?? (await buildLauncher());
  const features = options.features ?? (await probeFileSystem(binary, `${dataDirectory}/agent/rootfs`));
  for (const [feature, reason] of Object.entries(features))
    logger.info({ op: feature, reason }, 'this host cannot do something for containers');
  const cgroups = openCgroups(cgroupRoot);
  const host: IsolatorHost = {
    cgroups,
    dataDirectory,
    rootMountPoint,
    seccompDirectory: options.seccompDir ?? `${dataDirectory}/agent/seccomp`,
    launcherBinary: binary,
    features,
    policy: () => options.isolation?.() ?? {},
    portRanges: () => options.portRanges?.(),
    specOf: (containerId) => context.containers.get(containerId)?.spec,
    ...(options.portsIntervalMs !== undefined && { portsIntervalMs: options.portsIntervalMs }),
    sharedProcess: (groupId) => sharedProcess(context, groupId),
  };
  const isolators = createIsolators(host);
  const context: NativeContext = {
    cgroups,
    isolators,
    features,
    launcher: await connectLauncher({ runtimeDir, binary, groups: () => makeLauncherGroups(cgroupRoot) }),
    records: openRecords(options.exitDirectory ?? `${dataDirectory}/agent/containers`, `${runtimeDir}/launches`),
    containers: new Map(),
    limitationWatch: createLimitationWatch(isolators, (containerId, limitation) =>
      endForLimitation(context, containerId, limitation),
    ),
    orphans: createOrphans(logger),
    runtimeDir,
    rootMountPoint,
    bootId: options.bootId ?? readBootId(),
    logger,
  };
  const { delegate } = options;
  if (delegate) context.delegate = delegate.create(context, host);
  // Without root it is not news: the agent's document says what is missing.
  const isUsers = rootlessState() !== undefined;
  for (const isolator of isolators) {
    await isolator.open?.();
    const reason = isolator.unavailable?.();
    if (reason !== undefined)
      logger[isUsers ? 'info' : 'warn']({ op: isolator.name, err: new Error(reason) }, 'an isolator is not available');
  }
  await warmUp(isolators);
  context.launcher.on('exit', (record) => containerExited(context, record));

  return {
    name: delegate?.name ?? 'native',
    unsupported: (task) => [
      ...new Set([
        ...(delegate?.unsupported ?? unsupportedFields)(task),
        ...problemsHere(task),
        ...hostProblems(isolators, task),
      ]),
    ],
    recover: (expected) => recoverContainers(context, expected),
    removeOrphans: () => context.orphans.removeAll(),
    ...(!delegate && {
      prepareGroup: (group) => prepareGroup(context, group),
      groupEnded: (groupId) => groupEnded(context, groupId),
      destroyGroup: (groupId) => destroyGroup(context, groupId),
    }),
    launch: (spec, signal) => launchContainer(context, spec, signal),
    wait: (containerId) => waitForContainer(context, containerId),
    signal: (containerId, signal) => signalContainer(context, containerId, signal),
    destroy: (containerId) => destroyContainer(context, containerId),
    update: (containerId, resources) => updateContainer(context, containerId, resources),
    usage: (containerId) => usageOf(context, containerId),
    exec: (request) => execInContainer(context, request),
    dial: (containerId, port, host, signal) => dialContainer(context, { containerId, port, host, signal }),
    freeze: (containerId, frozen) => freezeContainer(context, containerId, frozen),
    attach: (request) => attachToContainer(context, request),
    describe: async () => [{ name: 'native', isolators: namesInUse(isolators), unsupported: declaredGaps(cgroups) }],
    copy: (request) => copyWithContainer(context, request),
    close: () => closeContext(context),
  };
}

/** The usual seccomp filter is compiled now: a host where it cannot be is told so at once, and the first task does not wait for it. */
async function warmUp(isolators: Isolator[]): Promise<void> {
  const usual = { container: { name: '' }, user: { uid: 0 } } as ContainerSpec;
  await loadIsolators(isolators, usual);
}

/** Of a container that this process does not know: what the disk says. */
async function waitForContainer({ containers, records }: NativeContext, containerId: string): Promise<Termination> {
  const container = containers.get(containerId);
  if (container) return container.termination.promise;
  const exit = records.readExit(containerId);
  return exit ? terminationOf(exit) : lostTermination(containerId);
}

async function signalContainer(
  { containers, launcher, delegate }: NativeContext,
  containerId: string,
  signal: number,
): Promise<void> {
  const container = containers.get(containerId);
  // One that just ended has nothing left to signal: not an error, it is what the caller wanted.
  if (!container?.launched || container.ended) return;
  if (delegate) await delegate.signal(containerId, signal);
  else await launcher.signal(containerId, signal);
}

/** A group that is gone needs neither. */
async function freezeContainer(context: NativeContext, containerId: string, frozen: boolean): Promise<void> {
  runningContainer(context, containerId);
  context.cgroups.freeze(containerId, frozen);
}

async function updateContainer(
  context: NativeContext,
  containerId: string,
  resources: ContainerResources,
): Promise<void> {
  const { spec } = runningContainer(context, containerId);
  const own = spec ? ownResources({ ...spec, resources }) : resources;
  if (spec?.groupId !== undefined && sharesLimits(spec)) updateShared(context, spec.groupId, spec, resources);
  for (const isolator of context.isolators) isolator.update?.(containerId, own);
  if (!spec) return;
  spec.resources = resources;
  const env = context.records.readLaunch(containerId)?.env ?? {};
  context.records.rewriteLaunch({ bootId: context.bootId, spec, env });
}

async function usageOf(context: NativeContext, containerId: string): Promise<ResourceStatistics> {
  const { spec } = runningContainer(context, containerId);
  const usage: ResourceStatistics = {
    timestamp: new Date(),
    cpusUserTimeSeconds: 0,
    cpusSystemTimeSeconds: 0,
    memTotalBytes: 0,
    cpusLimit: spec?.resources.limits.cpus ?? spec?.resources.requests.cpus,
  };
  for (const isolator of context.isolators) Object.assign(usage, isolator.usage?.(containerId));
  return usage;
}

function runningContainer({ containers }: NativeContext, containerId: string): Container {
  const container = containers.get(containerId);
  if (!container?.launched || container.ended) throw new ContainerNotRunning(containerId);
  return container;
}

async function closeContext({ limitationWatch, launcher, cgroups, orphans }: NativeContext): Promise<void> {
  orphans.close();
  limitationWatch.close();
  launcher.close();
  // Only an empty one goes.
  cgroups.removeRoot();
}
