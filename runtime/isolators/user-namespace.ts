/**
 * Own user ids: root in the container is an ordinary user of the host. Mounts and devices are made before the container's user namespace is entered,
 * so until then (stages join and setup) ids are those of the host; `onHost` translates.
 */
import type { UserNamespace } from '../containerizers/containerizer.ts';
import { type ContainerSpec, IsolationRefused, type Isolator } from './isolator.ts';
import { isPrivileged } from './privileged.ts';

/** What a capability is good for in a user namespace: files, processes and ids of the container. Every other one is about something of the host's. */
const workInside = new Set([
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'SETFCAP'],
  ...['SYS_CHROOT', 'SYS_PTRACE'],
]);
/** net.ipv4.ip_unprivileged_port_start, unless somebody changed it. */
const firstUnprivilegedPort = 1024;

/** Whether a capability is good for anything in a user namespace. `ownNetwork`: nobody else is on the container's network. */
export function worksInUserNamespace(name: string, ownNetwork: boolean): boolean {
  return workInside.has(name) || (name === 'NET_BIND_SERVICE' && ownNetwork);
}

export function userNamespaceIsolator(): Isolator {
  return {
    name: 'linux/user-namespace',
    contribute: (spec) =>
      spec.userNamespace ? { privileges: [{ op: 'userNamespace', owner: onHost(spec, spec.user).uid }] } : {},
  };
}

/** The host's ids for ids in the container. */
export function onHost(
  { userNamespace }: Pick<ContainerSpec, 'userNamespace'>,
  { uid, gid }: { uid: number; gid: number },
): { uid: number; gid: number } {
  if (!userNamespace) return { uid, gid };
  return { uid: userNamespace.uids.hostId + uid, gid: userNamespace.gids.hostId + gid };
}

/** Ids of its own; or none, and why, unless the document wants none. */
export type ResolvedIds = { userNamespace: UserNamespace } | { userNamespace?: undefined; obstacle?: string };

/**
 * The ids that the container is launched with: those that the agent gave its task, or none. Auto means own ids unless something stands against it;
 * Private is refused then. `unavailable` is why this host cannot do it.
 */
export function resolveUserNamespace(spec: ContainerSpec, unavailable: string | undefined): ResolvedIds {
  const mode = spec.container.security?.userNamespace ?? 'Auto';
  if (mode === 'Host') return {};
  const obstacle = unavailable ?? obstacleIn(spec);
  if (obstacle === undefined && spec.userNamespace) return { userNamespace: spec.userNamespace };
  if (mode === 'Private')
    throw new IsolationRefused(`security.userNamespace: Private cannot be done here: ${obstacle}`);
  return { ...(obstacle !== undefined && { obstacle }) };
}

/** Why this container needs the ids of the host. */
function obstacleIn(spec: ContainerSpec): string | undefined {
  const { container, user, userNamespace, task } = spec;
  if (!userNamespace) return 'the agent gave the task no ids (Agent spec.isolation.userNamespaces)';
  if (isPrivileged(spec)) return 'the container is privileged';
  for (const kind of ['pid', 'ipc'] as const)
    if (container.namespaces?.[kind] === 'Host') return `namespaces.${kind} is Host`;
  const outside = [user.uid, user.gid, ...user.supplementalGids].find(
    (id) => id >= Math.min(userNamespace.uids.size, userNamespace.gids.size),
  );
  if (outside !== undefined) return `user or group id ${outside} is more than the task has ids`;
  const { effective = [], bounding = [] } = container.security?.capabilities ?? {};
  const own = hasOwnNetwork(spec);
  const useless = [...effective, ...bounding].find((name) => !worksInUserNamespace(name, own));
  if (useless !== undefined) return `capability ${useless} has no effect with own user ids`;
  const port = own ? undefined : task.spec.binding?.hostPorts?.find(({ hostPort }) => hostPort < firstUnprivilegedPort);
  return port && `port ${port.hostPort} of the host is kept for its root`;
}

function hasOwnNetwork({ network, task }: ContainerSpec): boolean {
  return network?.namespacePath !== undefined || task.spec.network?.mode === 'None';
}
