/**
 * Private /tmp, /var/tmp and /run in memory (they count towards the memory limit). An own /run is what hides the host's sockets, such as
 * those of Docker, systemd and D-Bus. Name resolution goes on to work: where /etc/resolv.conf leads into /run, its content is copied.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import type { Operation } from '../../launcher/operations.ts';
import type { Isolator } from '../isolator.ts';
import { hasReadOnlyRoot } from './image-root.ts';

/** Directories of the host that a container without an image never sees, whatever is below them. */
export const scratchDirectories = ['/tmp', '/var/tmp', '/run'];

export function scratchIsolator(): Isolator {
  const fixed: Operation[] = [
    tmpfs('/tmp', 'mode=1777'),
    ...(existsSync('/var/tmp') ? [tmpfs('/var/tmp', 'mode=1777')] : []),
    tmpfs('/run', 'mode=0755'),
    { op: 'mkdir', path: '/run/lock', mode: 0o1777 },
    // On an old host /var/run may be a directory of its own, with the sockets in it.
    ...(hasOwnVarRun() ? [tmpfs('/var/run', 'mode=0755')] : []),
  ];
  return {
    name: 'filesystem/scratch',
    contribute(spec) {
      if (!spec.image) return { setup: [...fixed, ...resolverFile()] };
      // What an image has in /run is its own; with a writable root, so is /tmp.
      return hasReadOnlyRoot(spec) ? { setup: [tmpfs('/tmp', 'mode=1777')] } : {};
    },
  };
}

export function isBelowScratch(path: string): boolean {
  return scratchDirectories.some((directory) => path === directory || path.startsWith(`${directory}/`));
}

function tmpfs(target: string, data: string): Operation {
  return { op: 'mount', source: 'tmpfs', target, fstype: 'tmpfs', flags: ['nosuid', 'nodev'], data };
}

function hasOwnVarRun(): boolean {
  return existsSync('/var/run') && realpathSync('/var/run') !== '/run';
}

/** systemd-resolved, resolvconf and NetworkManager keep the file below /run. */
function resolverFile(): Operation[] {
  try {
    const path = realpathSync('/etc/resolv.conf');
    if (!path.startsWith('/run/')) return [];
    return [
      { op: 'mkdir', path: path.slice(0, path.lastIndexOf('/')), mode: 0o755 },
      { op: 'createFile', path, mode: 0o644, content: readFileSync(path, 'utf8') },
    ];
  } catch {
    // No resolver configuration on the host: none in the container.
    return [];
  }
}
