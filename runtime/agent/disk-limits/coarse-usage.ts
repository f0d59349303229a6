/** Disk usage as Task.status shows it. Pure. */
import { formatBytes } from '../../../crds/quantity.ts';
import type { DiskUsage } from './disk-limits.ts';

const STEPS = 16;

export interface ShownDiskUsage {
  used?: string;
  limit: string;
}

/** The sum over the task's limited containers; `used` in sixteenths of the limit, so that a growing sandbox does not write the status all the time. */
export function coarseUsage(usages: Iterable<DiskUsage>): ShownDiskUsage | undefined {
  let [used, limit, isKnown] = [0, 0, false];
  for (const usage of usages) {
    limit += usage.limitBytes;
    used += usage.usedBytes ?? 0;
    isKnown ||= usage.usedBytes !== undefined;
  }
  if (limit === 0) return undefined;
  const step = limit / STEPS;
  return {
    ...(isKnown && { used: formatBytes(Math.round(Math.round(used / step) * step)) }),
    limit: formatBytes(limit),
  };
}
