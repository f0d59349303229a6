/** cgroup v2 io: io.max for throttling, io.weight (iocost) or io.bfq.weight for shares. */

import { readControl, writeControl, writeControlIfPresent } from '../files.ts';
import type { IoController } from '../io.ts';
import { addIo, clampWeight } from '../io.ts';

const maxWeight = 10_000;
const maxBfqWeight = 1000;

export const ioController: IoController = {
  throttle(directory, { device, readBytesPerSecond, writeBytesPerSecond, readsPerSecond, writesPerSecond }) {
    const limits = {
      rbps: readBytesPerSecond,
      wbps: writeBytesPerSecond,
      riops: readsPerSecond,
      wiops: writesPerSecond,
    };
    const given = Object.entries(limits).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
    if (given.length > 0) writeControl(`${directory}/io.max`, `${device} ${given.join(' ')}`);
  },

  weight(directory, weight) {
    const bfq = writeControlIfPresent(`${directory}/io.bfq.weight`, clampWeight(weight, 1, maxBfqWeight));
    return writeControlIfPresent(`${directory}/io.weight`, `default ${clampWeight(weight, 1, maxWeight)}`) || bfq;
  },

  deviceWeight(directory, device, weight) {
    const bfq = writeControlIfPresent(
      `${directory}/io.bfq.weight`,
      `${device} ${clampWeight(weight, 1, maxBfqWeight)}`,
    );
    return writeControlIfPresent(`${directory}/io.weight`, `${device} ${clampWeight(weight, 1, maxWeight)}`) || bfq;
  },

  usage(directory) {
    const text = readControl(`${directory}/io.stat`);
    if (text === undefined) return undefined;
    const usage = { readBytes: 0, writtenBytes: 0, reads: 0, writes: 0 };
    // `MAJOR:MINOR rbytes=N wbytes=N rios=N wios=N dbytes=N dios=N`
    for (const [, name, value] of text.matchAll(/\b(rbytes|wbytes|rios|wios)=(\d+)/g)) {
      const key = { rbytes: 'readBytes', wbytes: 'writtenBytes', rios: 'reads', wios: 'writes' }[name!];
      addIo(usage, key as keyof typeof usage, value);
    }
    return usage;
  },
};
