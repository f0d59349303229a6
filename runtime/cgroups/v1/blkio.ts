/** cgroup v1 blkio: throttling by device in files of their own, weights where the bfq scheduler (or the old cfq) gives them. */

import { readControl, writeControl, writeControlIfPresent } from '../files.ts';
import type { IoController } from '../io.ts';
import { addIo, clampWeight } from '../io.ts';

/** Largest weight of bfq and of cfq. The smallest of cfq is 10. */
const maxWeight = 1000;

export const blkioController: IoController = {
  throttle(directory, { device, readBytesPerSecond, writeBytesPerSecond, readsPerSecond, writesPerSecond }) {
    const limits = {
      read_bps_device: readBytesPerSecond,
      write_bps_device: writeBytesPerSecond,
      read_iops_device: readsPerSecond,
      write_iops_device: writesPerSecond,
    };
    for (const [name, value] of Object.entries(limits))
      if (value !== undefined) writeControl(`${directory}/blkio.throttle.${name}`, `${device} ${value}`);
  },

  weight(directory, weight) {
    const value = clampWeight(weight, 1, maxWeight);
    return (
      writeControlIfPresent(`${directory}/blkio.bfq.weight`, value) ||
      writeControlIfPresent(`${directory}/blkio.weight`, Math.max(10, value))
    );
  },

  deviceWeight(directory, device, weight) {
    const value = clampWeight(weight, 1, maxWeight);
    return (
      writeControlIfPresent(`${directory}/blkio.bfq.weight_device`, `${device} ${value}`) ||
      writeControlIfPresent(`${directory}/blkio.weight_device`, `${device} ${Math.max(10, value)}`)
    );
  },

  usage(directory) {
    const usage = { readBytes: 0, writtenBytes: 0, reads: 0, writes: 0 };
    // `MAJOR:MINOR Read N`, and sums that are left out here.
    for (const [file, read, written] of [
      ['blkio.throttle.io_service_bytes', 'readBytes', 'writtenBytes'],
      ['blkio.throttle.io_serviced', 'reads', 'writes'],
    ] as const) {
      // An OCI runtime works in a group below ours; kernels before 5.4 count ours only.
      const text = readControl(`${directory}/${file}_recursive`) ?? readControl(`${directory}/${file}`);
      for (const line of text?.split('\n') ?? []) {
        const [, operation, value] = line.split(' ');
        if (operation === 'Read') addIo(usage, read, value);
        if (operation === 'Write') addIo(usage, written, value);
      }
    }
    return usage;
  },
};
