/**
 * A root directory for containers without an image: the host's own system, read-only. It is a small tmpfs with one read-only recursive
 * bind per top-level directory of the host, so that a volume may be mounted at any new top-level path, and what is private to the host
 * (/run, /tmp, /dev, /proc, /sys) is never there in the first place.
 */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import type { MountFlag, Operation } from '../../launcher/operations.ts';
import { ownRoot } from '../../launcher/own-root.ts';
import type { Isolator, IsolatorHost } from '../isolator.ts';
import { hasNoNewPrivileges } from '../no-new-privileges.ts';
import { hasReadOnlyRoot } from './image-root.ts';
import { newTopLevelPlaces } from './volumes.ts';

/** Other isolators fill these. */
const specialDirectories = ['proc', 'sys', 'dev', 'run', 'tmp'];
/** Not part of the system. */
const hiddenDirectories = ['lost+found'];

export function hostRootIsolator({ rootMountPoint }: IsolatorHost, hostRoot = '/'): Isolator {
  const topLevel = cachedTopLevel(hostRoot);
  return {
    name: 'filesystem/host-root',
    contribute(spec) {
      if (spec.image) return {};
      const flags: MountFlag[] = ['rbind', 'ro', 'nodev'];
      // Without no-new-privileges the document wants setuid programs to work.
      if (hasNoNewPrivileges(spec)) flags.push('nosuid');
      const { directories, symlinks } = topLevel();
      const operations = ownRoot(rootMountPoint);
      for (const name of specialDirectories) operations.push({ op: 'mkdir', path: `/${name}`, mode: 0o755 });
      for (const name of directories) {
        operations.push({ op: 'mkdir', path: `/${name}`, mode: 0o755 });
        operations.push({ op: 'mount', source: `${hostRoot}${name}`, target: `/${name}`, flags });
      }
      for (const [name, target] of symlinks) operations.push({ op: 'symlink', target, path: `/${name}` });
      const taken = new Set([...directories, ...symlinks.map(([name]) => name), ...specialDirectories]);
      operations.push(...newTopLevelPlaces(spec, taken));
      return { setup: operations };
    },
  };
}

const seal: Operation = { op: 'setMountAttributes', target: '/', set: ['ro'], recursive: false };

/** After everything below it is mounted, the root itself becomes read-only (unless an image's is to be writable), and the host's root is left behind. */
export function sealedRootIsolator(): Isolator {
  return {
    name: 'filesystem/sealed-root',
    contribute: (spec) => ({ setup: hasReadOnlyRoot(spec) ? [seal, { op: 'pivotRoot' }] : [{ op: 'pivotRoot' }] }),
  };
}

interface TopLevel {
  directories: string[];
  symlinks: [name: string, target: string][];
}

/** Read again only when the directory changed: one stat per launch. */
function cachedTopLevel(hostRoot: string): () => TopLevel {
  let known: TopLevel | undefined;
  let knownAt = Number.NaN;
  return () => {
    const { mtimeMs } = statSync(hostRoot);
    if (known === undefined || mtimeMs !== knownAt) {
      known = readTopLevel(hostRoot);
      knownAt = mtimeMs;
    }
    return known;
  };
}

function readTopLevel(hostRoot: string): TopLevel {
  const skipped = new Set([...specialDirectories, ...hiddenDirectories]);
  const top: TopLevel = { directories: [], symlinks: [] };
  for (const entry of readdirSync(hostRoot, { withFileTypes: true })) {
    if (skipped.has(entry.name)) continue;
    if (entry.isDirectory()) top.directories.push(entry.name);
    else if (entry.isSymbolicLink()) top.symlinks.push([entry.name, readlinkSync(`${hostRoot}${entry.name}`)]);
  }
  return top;
}
