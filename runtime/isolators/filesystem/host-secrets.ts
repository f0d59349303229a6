/**
 * Hides what on the host's own file system only root (or a privileged group) may read, and where daemons keep their sockets and state. File modes
 * keep the default user out already; a task that asked to run as root, or in a group of its choice, they do not.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Operation } from '../../launcher/operations.ts';
import type { ContainerSpec, Isolator, IsolatorHost } from '../isolator.ts';

const PRIVATE_PATHS = [
  '/root',
  '/etc/shadow',
  '/etc/shadow-',
  '/etc/gshadow',
  '/etc/gshadow-',
  '/etc/ssl/private',
  '/etc/kubernetes',
  '/etc/rancher',
  '/var/spool/cron',
  '/var/lib/containerd',
  '/var/lib/containers',
  '/var/lib/docker',
  '/var/lib/incus',
  '/var/lib/kubelet',
  '/var/lib/lxd',
  '/var/lib/rancher',
  '/var/snap/lxd',
];
const HOST_KEYS = /^ssh_host_.*_key$/;
/** `nobody` of the LSB and of Debian, with a group of the same number. */
const NOBODY = 65534;

export function hostSecretsIsolator({ dataDirectory }: IsolatorHost): Isolator {
  // Looked up once: what appears later is hidden from the agent's next start on.
  const paths = privatePaths(dataDirectory);
  return {
    name: 'filesystem/host-secrets',
    contribute: (spec) => ({
      setup: spec.image || isHarmless(spec) ? [] : paths.map((path): Operation => ({ op: 'mask', path })),
    }),
  };
}

/** A directory that holds Tepui's own data cannot be hidden whole, since sandboxes are mounted below it. */
function privatePaths(dataDirectory: string): string[] {
  const keys = existsSync('/etc/ssh') ? readdirSync('/etc/ssh').filter((name) => HOST_KEYS.test(name)) : [];
  return [...PRIVATE_PATHS, ...keys.map((name) => join('/etc/ssh', name))].filter(
    (path) => existsSync(path) && !`${dataDirectory}/`.startsWith(`${path}/`),
  );
}

function isHarmless({ user, container }: ContainerSpec): boolean {
  const capabilities = container.security?.capabilities;
  const asked = [...(capabilities?.effective ?? []), ...(capabilities?.bounding ?? [])];
  const groups = [user.gid, ...user.supplementalGids];
  return user.uid === NOBODY && groups.every((gid) => gid === NOBODY) && asked.length === 0;
}
