/**
 * The container's sandbox, writable at its real path; everything else of Tepui's data directory (other sandboxes, volumes, keys, the
 * store) is hidden under an empty read-only tmpfs.
 */
import type { Operation } from '../../launcher/operations.ts';
import type { Isolator, IsolatorHost } from '../isolator.ts';
import { isBelowScratch } from './scratch.ts';

export function sandboxIsolator({ dataDirectory }: IsolatorHost): Isolator {
  // Below /tmp or /run it is hidden already.
  const ownMask = !isBelowScratch(dataDirectory);
  return {
    name: 'filesystem/sandbox',
    contribute({ sandbox }) {
      const operations: Operation[] = [];
      if (ownMask) {
        operations.push({
          op: 'mount',
          source: 'tmpfs',
          target: dataDirectory,
          fstype: 'tmpfs',
          flags: ['nosuid', 'nodev', 'noexec'],
          data: 'mode=0755',
        });
      }
      // Parents are made by the launcher, 0755 and of root.
      operations.push({ op: 'mkdir', path: sandbox, mode: 0o755 });
      operations.push({ op: 'mount', source: sandbox, target: sandbox, flags: ['bind', 'nosuid', 'nodev'] });
      if (ownMask) operations.push({ op: 'setMountAttributes', target: dataDirectory, set: ['ro'], recursive: false });
      return { setup: operations };
    },
  };
}
