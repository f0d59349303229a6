/** Disk input and output: a share of a busy disk, and limits by device. */
import { existsSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { IoDeviceLimit, TaskContainer } from '../../../crds/types.generated.ts';
import { type IoThrottle, ioControllerOf } from '../../cgroups/io.ts';
import { parseWhole } from '../../resources/quantity.ts';
import { deviceNumber } from '../filesystem/devices.ts';
import { IsolationRefused, type Isolator, type IsolatorHost } from '../isolator.ts';
import { withoutController } from './without-controller.ts';

export function ioIsolator({ cgroups: { extra } }: Pick<IsolatorHost, 'cgroups'>): Isolator {
  const version = extra.version('io');
  const controller = version && ioControllerOf(version);
  const asks: Isolator['asks'] = ({ resources }) =>
    resources?.io?.weight !== undefined || (resources?.io?.devices?.length ?? 0) > 0 ? 'resources.io' : undefined;
  return {
    name: 'cgroups/io',
    asks,
    problems({ resources }) {
      if (controller === undefined) return [`resources.io: ${withoutController('blkio or io')}`];
      return (resources?.io?.devices ?? []).flatMap(({ path }, index) => {
        const found = diskNumber(path);
        return 'problem' in found ? [`resources.io.devices[${index}].path: ${found.problem}`] : [];
      });
    },

    prepare({ containerId, container }) {
      if (controller === undefined || asks(container) === undefined) return;
      const { weight, devices = [] } = container.resources!.io!;
      const directory = extra.add(containerId, 'io');
      if (weight !== undefined && !controller.weight(directory, weight))
        throw new IsolationRefused(
          'resources.io.weight: this agent has no scheduler of disks that keeps weights (bfq, iocost)',
        );
      for (const [index, limit] of devices.entries()) {
        const field = `resources.io.devices[${index}]`;
        const found = diskNumber(limit.path);
        if ('problem' in found) throw new IsolationRefused(`${field}.path: ${found.problem}`);
        controller.throttle(directory, throttleOf(found.device, limit));
        if (limit.weight !== undefined && !controller.deviceWeight(directory, found.device, limit.weight))
          throw new IsolationRefused(`${field}.weight: the scheduler of this disk keeps no weights (bfq, iocost)`);
      }
    },

    contribute({ containerId }) {
      const group = version === 'v1' ? extra.find(containerId, 'io') : undefined;
      return group === undefined ? {} : { join: [{ op: 'joinCgroup', path: `${group}/tasks` }] };
    },

    usage(containerId) {
      const directory = extra.find(containerId, 'io');
      const usage = directory === undefined ? undefined : controller?.usage(directory);
      return usage === undefined
        ? {}
        : {
            diskReadBytes: usage.readBytes,
            diskWrittenBytes: usage.writtenBytes,
            diskReads: usage.reads,
            diskWrites: usage.writes,
          };
    },
  };
}

/** The limits that a container asks for, of disks that this agent has. */
export function throttlesOf({ resources }: Pick<TaskContainer, 'resources'>): IoThrottle[] {
  return (resources?.io?.devices ?? []).flatMap((limit) => {
    const found = diskNumber(limit.path);
    return 'problem' in found ? [] : [throttleOf(found.device, limit)];
  });
}

function throttleOf(
  device: string,
  { readBytesPerSecond, writeBytesPerSecond, readsPerSecond, writesPerSecond }: IoDeviceLimit,
): IoThrottle {
  return {
    device,
    ...(readBytesPerSecond !== undefined && { readBytesPerSecond: parseWhole(readBytesPerSecond) }),
    ...(writeBytesPerSecond !== undefined && { writeBytesPerSecond: parseWhole(writeBytesPerSecond) }),
    ...(readsPerSecond !== undefined && { readsPerSecond }),
    ...(writesPerSecond !== undefined && { writesPerSecond }),
  };
}

/** `MAJOR:MINOR` of a whole disk; the kernel limits nothing smaller. */
function diskNumber(path: string): { device: string } | { problem: string } {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return { problem: `${path} does not exist on this agent` };
  if (!stats.isBlockDevice()) return { problem: `${path} is not a block device` };
  const { major, minor } = deviceNumber(stats.rdev);
  const inSys = `/sys/dev/block/${major}:${minor}`;
  if (!existsSync(`${inSys}/partition`)) return { device: `${major}:${minor}` };
  // .../block/vda/vda1
  const disk = basename(dirname(readlinkSync(inSys)));
  return { problem: `${path} is a partition, and limits are for whole disks: name /dev/${disk}` };
}
