/**
 * What the containers of one task share: the cgroup above theirs, and namespaces that a process without a command (`pause`) keeps. That process is
 * a container like any other to the launcher and to recovery, so it outlives the agent, and nothing has to be mounted on the host.
 */

import { mkdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { prefixOf } from '../../cgroups/paths.ts';
import { sharedMemoryPath, shmBytes } from '../../isolators/filesystem/dev.ts';
import type { ContainerSpec } from '../../isolators/isolator.ts';
import { isPrivileged } from '../../isolators/privileged.ts';
import { onHost } from '../../isolators/user-namespace.ts';
import type { LaunchRequest, Operation } from '../../launcher/operations.ts';
import { ownRoot } from '../../launcher/own-root.ts';
import { unprivilegedIds } from '../../rootless/ids.ts';
import { ContainerLaunchFailed } from '../container-launch-failed.ts';
import type { ContainerResources, GroupSpec, LaunchedContainer } from '../containerizer.ts';
import { newContainer } from './container.ts';
import type { NativeContext } from './context.ts';
import { destroyContainer } from './destroy.ts';

/** Not a container's name: those have no underscore. */
const pauseSuffix = '._pause';
const nobody = { ...unprivilegedIds(), supplementalGids: [], name: 'nobody', home: '/' };
/** The pause process itself: less than half of it is ever used. */
const pauseBytes = 1 << 20;

export const pauseIdOf = (groupId: string): string => `${groupId}${pauseSuffix}`;
export const isPause = (containerId: string): boolean => containerId.endsWith(pauseSuffix);

/** Idempotent: what is there already, also from an earlier agent process, stays. Rejects with ContainerLaunchFailed, and then leaves nothing. */
export async function prepareGroup(context: NativeContext, group: GroupSpec): Promise<void> {
  const { groupId } = group;
  const pauseId = pauseIdOf(groupId);
  const known = context.containers.get(pauseId);
  if (known?.launched && !known.ended) return;
  await destroyContainer(context, pauseId);
  // Of an earlier life of the group: its counters would tell of ends long past.
  if (!hasMembers(context, groupId)) await context.cgroups.remove(groupId);
  const spec = pauseSpec(context, mayHaveOwnIds(context, group) ? group : withoutOwnIds(group));
  const container = newContainer(pauseId, spec);
  try {
    context.records.writeLaunch({ bootId: context.bootId, spec, env: {} });
    context.containers.set(pauseId, container);
    context.cgroups.createGroup(groupId);
    if (group.resources) applyLimits(context, groupId, group.resources, 'first');
    context.cgroups.create(pauseId);
    const started = await context.launcher.launch(pauseRequest(context, spec));
    container.launched = { containerId: pauseId, ...started, startedAt: new Date() };
  } catch (cause) {
    await destroyGroup(context, groupId).catch((err: unknown) => {
      context.logger.error({ err, containerID: groupId }, 'a failed task group could not be cleaned up');
    });
    throw new ContainerLaunchFailed(groupId, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Whether a container of it may get user ids of its own: else what they share belongs to the host's. */
function mayHaveOwnIds({ features }: NativeContext, { task }: GroupSpec): boolean {
  const { initContainers = [], containers } = task.spec;
  return (
    features.userNamespaces === undefined &&
    [...initContainers, ...containers].some(
      (container) => container.security?.userNamespace !== 'Host' && !isPrivileged({ container }),
    )
  );
}

function withoutOwnIds({ userNamespace: _, ...group }: GroupSpec): GroupSpec {
  return group;
}

function hasMembers({ containers }: NativeContext, groupId: string): boolean {
  return containers.values().some(({ containerId, ended }) => !ended && prefixOf(containerId) === groupId);
}

/** Resolves at once for a group that is not there. */
export async function groupEnded({ containers }: NativeContext, groupId: string): Promise<void> {
  await containers.get(pauseIdOf(groupId))?.termination.promise;
}

/** Every group of which something is left, whichever step of its end or its beginning was the last. */
export async function listGroups({ cgroups, runtimeDir }: NativeContext): Promise<string[]> {
  const directories = await readdir(groupsDirectory(runtimeDir)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return [...new Set([...cgroups.groups(), ...directories])];
}

/** After its containers; what of them is left is killed. */
export async function destroyGroup(context: NativeContext, groupId: string): Promise<void> {
  const { cgroups, containers } = context;
  for (const containerId of [...containers.keys()]) {
    if (prefixOf(containerId) === groupId && !isPause(containerId)) await destroyContainer(context, containerId);
  }
  await destroyContainer(context, pauseIdOf(groupId));
  if (cgroups.groups().includes(groupId)) {
    cgroups.kill(groupId);
    await cgroups.remove(groupId);
  }
  await rm(outputDirectory(context, groupId), { recursive: true, force: true });
}

/** The process whose namespaces the containers of a group join. */
export function sharedProcess({ containers }: Pick<NativeContext, 'containers'>, groupId: string): LaunchedContainer {
  const pause = containers.get(pauseIdOf(groupId));
  if (!pause?.launched || pause.ended)
    throw new Error(`task group ${groupId} is not there: what its containers share was never made, or has ended`);
  return pause.launched;
}

/** Whether a container is held only to the limits of its task as a whole. */
export function sharesLimits({ groupId, task }: Pick<ContainerSpec, 'groupId' | 'task'>): boolean {
  return groupId !== undefined && task.spec.shareCgroups !== false;
}

/** What isolators limit the container's own groups to. */
export function ownResources(spec: ContainerSpec): ContainerResources {
  const { requests, limits } = spec.resources;
  if (!sharesLimits(spec)) return spec.resources;
  return { requests, limits: { ...limits, cpus: Infinity, memBytes: Infinity }, pids: Infinity };
}

/**
 * A change of one container changes what all have together. Idempotent: the container's own record comes later, and an agent that was killed in between is
 * followed by one that does the same again.
 */
export function updateShared(
  context: NativeContext,
  groupId: string,
  { containerId, resources: before }: Pick<ContainerSpec, 'containerId' | 'resources'>,
  after: ContainerResources,
): void {
  const pause = context.containers.get(pauseIdOf(groupId));
  if (!pause?.spec) return;
  const counted = pause.counted?.[containerId] ?? before;
  const resources = addResources(addResources(pause.spec.resources, after, 1), counted, -1);
  applyLimits(context, groupId, resources, 'change');
  pause.spec.resources = resources;
  pause.counted = { ...pause.counted, [containerId]: after };
  context.records.rewriteLaunch({ bootId: context.bootId, spec: pause.spec, env: {}, counted: pause.counted });
}

function applyLimits(
  { cgroups }: NativeContext,
  groupId: string,
  { requests, limits, pids }: ContainerResources,
  which: 'first' | 'change',
): void {
  const memory = {
    softBytes: requests.memBytes,
    hardBytes: (limits.memBytes ?? requests.memBytes) + pauseBytes,
    swapBytes: limits.swapBytes ?? 0,
  };
  if (which === 'first') cgroups.memory.limit(groupId, memory);
  else cgroups.memory.update(groupId, memory);
  cgroups.cpu.limit(groupId, { cpus: requests.cpus, limit: limits.cpus });
  cgroups.pids.limit(groupId, pids === undefined ? Infinity : pids + 1);
}

/** Absent limits: of memory the request, of cpus and processes none. */
function addResources(a: ContainerResources, b: ContainerResources, sign: 1 | -1): ContainerResources {
  // Without a limit there is none before and after: Infinity must not be taken from itself.
  const sum = (x: number, y: number) => (x === Infinity ? Infinity : x + sign * y);
  const memory = ({ requests, limits }: ContainerResources) => limits.memBytes ?? requests.memBytes;
  return {
    requests: { cpus: sum(a.requests.cpus, b.requests.cpus), memBytes: sum(a.requests.memBytes, b.requests.memBytes) },
    limits: {
      cpus: sum(a.limits.cpus ?? Infinity, b.limits.cpus ?? Infinity),
      memBytes: sum(memory(a), memory(b)),
      swapBytes: sum(a.limits.swapBytes ?? 0, b.limits.swapBytes ?? 0),
    },
    pids: sum(a.pids ?? Infinity, b.pids ?? Infinity),
  };
}

function pauseSpec(
  context: NativeContext,
  { groupId, task, network, userNamespace, resources }: GroupSpec,
): ContainerSpec {
  return {
    containerId: pauseIdOf(groupId),
    groupId,
    task,
    container: { name: 'pause' },
    sandbox: outputDirectory(context, groupId),
    user: nobody,
    mounts: [],
    resources: resources ?? { requests: { cpus: 0, memBytes: 0 }, limits: {} },
    ...(network && { network }),
    ...(userNamespace && context.features.userNamespaces === undefined && { userNamespace }),
  };
}

function pauseRequest(context: NativeContext, spec: ContainerSpec): LaunchRequest {
  const { cloneInto, join } = context.cgroups.placement(spec.containerId);
  mkdirSync(spec.sandbox, { recursive: true, mode: 0o700 });
  const sink = (name: string) => ({ path: `${spec.sandbox}/${name}`, maxBytes: 0, maxFiles: 0, uid: 0, gid: 0 });
  const ownsNetwork = spec.task.spec.network?.mode === 'None' && spec.network?.namespacePath === undefined;
  return {
    containerId: spec.containerId,
    namespaces: { mount: true, pid: true, ipc: true, uts: false, cgroup: true, network: ownsNetwork },
    pause: true,
    ...(cloneInto !== undefined && { cloneIntoCgroup: cloneInto }),
    operations: [
      ...join.map((path): Operation => ({ op: 'joinCgroup', path })),
      ...(ownsNetwork ? ([{ op: 'loopbackUp' }] as const) : []),
      ...pauseOperations(context, spec),
    ],
    argv: [],
    env: {},
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    exitRecord: context.records.exitPath(spec.containerId),
  };
}

/** An empty root with the shared memory in it, and no privilege. */
function pauseOperations({ rootMountPoint }: NativeContext, spec: ContainerSpec): Operation[] {
  const { uid, gid } = onHost(spec, { uid: 0, gid: 0 });
  return [
    ...ownRoot(rootMountPoint, '64k'),
    { op: 'mkdir', path: sharedMemoryPath, mode: 0o1777 },
    {
      op: 'mount',
      source: 'shm',
      target: sharedMemoryPath,
      fstype: 'tmpfs',
      flags: ['nosuid', 'nodev', 'noexec'],
      data: `mode=1777,size=${shmBytes(spec.task.spec.containers ?? [])},uid=${uid},gid=${gid}`,
    },
    { op: 'setMountAttributes', target: '/', set: ['ro'], recursive: false },
    { op: 'pivotRoot' },
    { op: 'user', uid: nobody.uid, gid: nobody.gid, groups: [] },
    { op: 'capabilities', bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
    { op: 'noNewPrivileges' },
  ];
}

const groupsDirectory = (runtimeDir: string): string => `${runtimeDir}/groups`;

function outputDirectory({ runtimeDir }: NativeContext, groupId: string): string {
  return `${groupsDirectory(runtimeDir)}/${groupId}`;
}
