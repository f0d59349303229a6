/**
 * The container's sandbox, writable. Without an image at its real path, where everything else of Tepui's data directory (other sandboxes, volumes,
 * keys, the store) is hidden under an empty read-only tmpfs; with an image at a path of its own, which Mesos's name for it leads to as well.
 */
import type { Operation } from '../../launcher/operations.ts';
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
          {
            op: 'mount',
            source: 'tmpfs',
            target: dataDirectory,
            fstype: 'tmpfs',
            flags: ['nosuid', 'nodev', 'noexec'],
            data: 'mode=0755',
          },
          ...bind,
          { op: 'setMountAttributes', target: dataDirectory, set: ['ro'], recursive: false },
        ],
      };
    },
  };
}
