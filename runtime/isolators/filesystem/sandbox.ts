/**
 * The container's sandbox, writable. Without an image at its real path, where everything else of Tepui's data directory (other sandboxes, volumes,
 * keys, the store) is hidden under an empty read-only tmpfs; with an image at a path of its own, which Mesos's name for it leads to as well.
 */
import { existsSync, realpathSync } from 'node:fs';
import type { MountFlag, Operation } from '../../launcher/operations.ts';
import { rootlessState } from '../../rootless/state.ts';
import type { ContainerSpec, Isolator, IsolatorHost } from '../isolator.ts';
import { isBelowScratch } from './scratch.ts';

/** Where a container with an image has its sandbox. */
export const sandboxInImage = '/mnt/tepui/sandbox';
const sandboxInMesos = '/mnt/mesos/sandbox';

/** The sandbox's path as the container sees it: TEPUI_SANDBOX, and the default working directory. */
export function sandboxInContainer({ image, sandbox }: Pick<ContainerSpec, 'image' | 'sandbox'>): string {
  return image ? sandboxInImage : sandbox;
}

export function sandboxIsolator({ dataDirectory }: IsolatorHost): Isolator {
  // Below /tmp or /run it is hidden already.
  const ownMask = !isBelowScratch(dataDirectory);
  const home = usersHome(dataDirectory);
  return {
    name: 'filesystem/sandbox',
    contribute(spec) {
      const target = sandboxInContainer(spec);
      const bind: Operation[] = [
        // Parents are made by the launcher, 0755 and of root.
        { op: 'mkdir', path: target, mode: 0o755 },
        { op: 'mount', source: spec.sandbox, target, flags: ['bind', 'nosuid', 'nodev', 'idmap'] },
      ];
      if (spec.image) {
        const parent = sandboxInMesos.slice(0, sandboxInMesos.lastIndexOf('/'));
        bind.push({ op: 'mkdir', path: parent, mode: 0o755 }, { op: 'symlink', target, path: sandboxInMesos });
        return { setup: bind };
      }
      if (!ownMask) return { setup: bind };
      return {
        setup: [
          ...(home ?? []).flatMap((path): Operation[] => [
            hide(path),
            { op: 'mkdir', path: dataDirectory, mode: 0o755 },
          ]),
          {
            op: 'mount',
            source: 'tmpfs',
            target: dataDirectory,
            fstype: 'tmpfs',
            flags: ['nosuid', 'nodev', 'noexec'],
            data: 'mode=0755',
          },
          ...bind,
          ...[dataDirectory, ...(home ?? [])].map(seal),
        ],
      };
    },
  };
}

/**
 * The home directory of the user whose agent this is: root in a container would be he. None with root of the machine, and where the home is
 * hidden already. Our own data is usually below it.
 */
function usersHome(dataDirectory: string): [string] | undefined {
  const state = rootlessState();
  if (state === undefined || !existsSync(state.home)) return undefined;
  const home = realpathSync(state.home);
  return home === '/' || home === dataDirectory || isBelowScratch(home) ? undefined : [home];
}

function hide(target: string): Operation {
  const flags: MountFlag[] = ['nosuid', 'nodev', 'noexec'];
  return { op: 'mount', source: 'tmpfs', target, fstype: 'tmpfs', flags, data: 'mode=0755,size=64k' };
}

function seal(target: string): Operation {
  return { op: 'setMountAttributes', target, set: ['ro'], recursive: false };
}
