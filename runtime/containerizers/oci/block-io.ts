/** Disk limits as an OCI configuration has them. Pure. */
import type { IoThrottle } from '../../cgroups/io.ts';

export type OciBlockIo = Partial<Record<(typeof fields)[number][1], { major: number; minor: number; rate: number }[]>>;

const fields = [
  ['readBytesPerSecond', 'throttleReadBpsDevice'],
  ['writeBytesPerSecond', 'throttleWriteBpsDevice'],
  ['readsPerSecond', 'throttleReadIOPSDevice'],
  ['writesPerSecond', 'throttleWriteIOPSDevice'],
] as const;

/**
 * For cgroup v1, where rates are kept for the processes of one group and not for those of groups below it: the runtime's group needs them, ours does
 * nothing. Everything else that our group limits holds for what is below.
 */
export function toBlockIo(throttles: IoThrottle[]): OciBlockIo {
  const result: OciBlockIo = {};
  for (const throttle of throttles) {
    const [major, minor] = throttle.device.split(':').map(Number) as [number, number];
    for (const [limit, field] of fields) {
      const rate = throttle[limit];
      if (rate !== undefined) result[field] = [...(result[field] ?? []), { major, minor, rate }];
    }
  }
  return result;
}
