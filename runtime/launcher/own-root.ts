import type { Operation } from './operations.ts';

/**
 * The first steps to a root that has nothing of the host's but what is mounted into it: a small tmpfs at `mountPoint`, which paths of later operations
 * start from. Mounts are private rather than slave: what the host mounts later would appear here writable. `size` as tmpfs takes it; default: the kernel's.
 */
export function ownRoot(mountPoint: string, size?: string): Operation[] {
  return [
    { op: 'mount', source: 'none', target: '/', flags: ['rprivate'] },
    {
      op: 'mount',
      source: 'tmpfs',
      target: mountPoint,
      fstype: 'tmpfs',
      flags: ['nosuid', 'nodev'],
      data: `mode=0755${size === undefined ? '' : `,size=${size}`}`,
    },
    { op: 'enterRoot', path: mountPoint },
  ];
}
