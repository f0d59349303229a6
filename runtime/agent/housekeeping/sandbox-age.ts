/** How long sandboxes of ended tasks are kept, by Mesos's formula. Pure. */

export interface Retention {
  /** `sandboxRetentionSeconds`; Mesos: gc_delay. */
  retentionSeconds: number;
  /** Share of the disk to keep free; Mesos: gc_disk_headroom. */
  diskHeadroom: number;
}

/**
 * In milliseconds, for a disk of which the share `usage` (0 to 1) is taken: `retention * max(0, 1 - headroom - usage)`. A disk without headroom keeps
 * nothing of tasks that have ended.
 */
export function maxSandboxAgeMs({ retentionSeconds, diskHeadroom }: Retention, usage: number): number {
  return retentionSeconds * 1000 * Math.max(0, 1 - diskHeadroom - usage);
}
