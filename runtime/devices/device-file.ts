/** A device file of the host, as data. */
import { realpathSync, type Stats, statSync } from 'node:fs';
import type { ContainerDevice } from '../containerizers/containerizer.ts';
import { deviceOf } from '../isolators/filesystem/devices.ts';
import { DeviceRefused } from './device-refused.ts';

/**
 * Type and numbers of what a document names. Links may lead to it, as udev's do, but not out of /dev: only root writes there. Nothing is opened:
 * what counts later are the numbers.
 */
export function documentDevice(path: string, field: string): Pick<ContainerDevice, 'type' | 'major' | 'minor'> {
  const { type, major, minor } = deviceOf(deviceStats(realPath(path, field), field));
  return { type, major, minor };
}

/** Of a node that a CDI specification names; the specification is the operator's, so its place is not checked. */
export function cdiDevice(path: string, field: string): Omit<ContainerDevice, 'path' | 'permissions'> {
  return deviceOf(deviceStats(path, field));
}

function realPath(path: string, field: string): string {
  try {
    const real = realpathSync(path);
    if (real.startsWith('/dev/')) return real;
    throw new DeviceRefused(`${field}: ${path} leads to ${real}, which is not below /dev`);
  } catch (error) {
    if (error instanceof DeviceRefused) throw error;
    throw new DeviceRefused(`${field}: ${path} is not there (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    });
  }
}

function deviceStats(path: string, field: string): Stats {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new DeviceRefused(`${field}: ${path} is not there`);
  if (!stats.isCharacterDevice() && !stats.isBlockDevice())
    throw new DeviceRefused(`${field}: ${path} is neither a character nor a block device`);
  return stats;
}
