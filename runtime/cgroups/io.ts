/** Disk input and output of one group, the same for v1 (blkio) and v2 (io). `device` is `MAJOR:MINOR` of a whole disk. */
import { blkioController } from './v1/blkio.ts';
import { ioController } from './v2/io.ts';

export interface IoThrottle {
  device: string;
  /** Absent values are unlimited. */
  readBytesPerSecond?: number;
  writeBytesPerSecond?: number;
  readsPerSecond?: number;
  writesPerSecond?: number;
}

export interface IoUsage {
  readBytes: number;
  writtenBytes: number;
  reads: number;
  writes: number;
}

export interface IoController {
  throttle(directory: string, limits: IoThrottle): void;
  /** 1 to 10000, 100 is what groups have by default. false when neither iocost nor bfq is there to keep weights. */
  weight(directory: string, weight: number): boolean;
  deviceWeight(directory: string, device: string, weight: number): boolean;
  /** Of all disks together, since the group has the controller. */
  usage(directory: string): IoUsage | undefined;
}

export function ioControllerOf(version: 'v1' | 'v2'): IoController {
  return version === 'v1' ? blkioController : ioController;
}

/** bfq knows 1 to 1000 where iocost knows 1 to 10000, with the same default: what is above its most counts as its most. */
export function clampWeight(weight: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, Math.round(weight)));
}

export function addIo(usage: IoUsage, key: keyof IoUsage, value: string | undefined): void {
  usage[key] += Number(value ?? 0);
}
