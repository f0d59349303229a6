/** A minimal /dev: the usual character devices, an own pts and shm, and links for the standard descriptors. No disk, no kmem, no kvm. */

import type { Operation } from '../../launcher/operations.ts';
import { parseWhole } from '../../resources/quantity.ts';
import { isMapped } from '../../rootless/ids.ts';
import { inOwnUserNamespace } from '../../rootless/state.ts';
import type { ContainerSpec, Isolator } from '../isolator.ts';
import { hasPrivateIpc } from '../namespaces.ts';
import { onHost } from '../user-namespace.ts';

const devices: [name: string, major: number, minor: number][] = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
];
const links: [name: string, target: string][] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['ptmx', 'pts/ptmx'],
];
/** As the CRD says; Docker's default too. */
const defaultShmBytes = 64 * 2 ** 20;
/** Group `tty` on every distribution. */
const ttyGid = 5;

/** Where a task group's shared /dev/shm is in the mount namespace of the process that keeps it. */
export const sharedMemoryPath = '/shm';

/** A user may not make device files: he gets the host's own, which everybody may use. Read-only is the mount: nobody changes their modes. */
function hostNode(name: string): Operation[] {
  const path = `/dev/${name}`;
  return [
    { op: 'createFile', path, mode: 0o666 },
    { op: 'mount', source: path, target: path, flags: ['bind', 'ro', 'nosuid', 'noexec'] },
  ];
}

const fixed: Operation[] = [
  {
    op: 'mount',
    source: 'tmpfs',
    target: '/dev',
    fstype: 'tmpfs',
    flags: ['nosuid', 'noexec'],
    data: 'mode=0755,size=64k',
  },
  ...devices.flatMap(([name, major, minor]): Operation[] =>
    inOwnUserNamespace()
      ? hostNode(name)
      : [{ op: 'mknod', path: `/dev/${name}`, type: 'c', major, minor, mode: 0o666 }],
  ),
  ...links.map(([name, target]): Operation => ({ op: 'symlink', target, path: `/dev/${name}` })),
  { op: 'mkdir', path: '/dev/pts', mode: 0o755 },
  { op: 'mkdir', path: '/dev/shm', mode: 0o1777 },
];

/** The largest that one of the containers asks for, since they share it. */
export function shmBytes(containers: Pick<ContainerSpec['container'], 'namespaces'>[]): number {
  const asked = containers.flatMap(({ namespaces }) => namespaces?.shmSize ?? []);
  return asked.length === 0 ? defaultShmBytes : Math.max(...asked.map(parseWhole));
}

function terminals(spec: ContainerSpec): Operation {
  const { gid } = onHost(spec, { uid: 0, gid: ttyGid });
  return {
    op: 'mount',
    source: 'devpts',
    target: '/dev/pts',
    fstype: 'devpts',
    flags: ['nosuid', 'noexec'],
    data: `newinstance,ptmxmode=0666,mode=0620${isMapped('gid', gid) ? `,gid=${gid}` : ''}`,
  };
}

export function devIsolator(): Isolator {
  return {
    name: 'filesystem/dev',
    contribute(spec) {
      const shm: Operation = !hasPrivateIpc(spec)
        ? { op: 'mount', source: '/dev/shm', target: '/dev/shm', flags: ['bind', 'nosuid', 'nodev', 'noexec'] }
        : spec.groupId !== undefined
          ? {
              op: 'mount',
              source: sharedMemoryPath,
              target: '/dev/shm',
              flags: ['bind', 'peer', 'nosuid', 'nodev', 'noexec'],
            }
          : {
              op: 'mount',
              source: 'shm',
              target: '/dev/shm',
              fstype: 'tmpfs',
              flags: ['nosuid', 'nodev', 'noexec'],
              data: `mode=1777,size=${shmBytes([spec.container])}`,
            };
      return {
        setup: [...fixed, terminals(spec), shm],
      };
    },
  };
}
