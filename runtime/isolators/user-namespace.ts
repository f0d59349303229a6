/**
 * Own user ids: root in the container is an ordinary user of the host. Mounts and devices are made before the container's user namespace is entered,
 * so until then (stages join and setup) ids are those of the host; `onHost` translates.
 */
import type { ContainerSpec, Isolator } from './isolator.ts';

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
