/** Device files in the container's /dev: those that the agent resolved for it, or, for a privileged container, all that the host has. */
import { lstatSync, readdirSync, type Stats } from 'node:fs';
import type { ContainerDevice } from '../../containerizers/containerizer.ts';
import type { Operation } from '../../launcher/operations.ts';
import { type ContainerSpec, IsolationRefused, type Isolator } from '../isolator.ts';
import { isPrivileged } from '../privileged.ts';
import { onHost } from '../user-namespace.ts';

/** What the minimal /dev has already, and what is the container's own. */
const usual = new Set(['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'console']);
const ownDirectories = new Set(['pts', 'shm', 'mqueue', 'fd', 'hugepages']);

export function devicesIsolator(hostDevices = '/dev'): Isolator {
  return {
    name: 'linux/devices',
    asks: ({ devices }) => ((devices?.length ?? 0) > 0 ? 'devices' : undefined),
    contribute(spec) {
      const asked = (spec.devices ?? []).map((device) => ownedBy(device, spec));
      const places = new Set(asked.map(({ path }) => path));
      const all = isPrivileged(spec)
        ? [...listDevices(hostDevices).filter(({ path }) => !places.has(path)), ...asked]
        : asked;
      const directories = new Set(all.flatMap(({ path }) => parentsOf(path)));
      return {
        setup: [
          ...[...directories].map((path): Operation => ({ op: 'mkdir', path, mode: 0o755 })),
          ...all.map(({ path, type, major, minor, mode = 0o600, uid = 0, gid = 0 }): Operation => {
            return { op: 'mknod', path: checkedPlace(path), type, major, minor, mode, uid, gid };
          }),
        ],
      };
    },
  };
}

/** Of the container's user unless it is said otherwise, with the modes that its permissions are good for. Ids are those of the container. */
function ownedBy(device: ContainerDevice, spec: ContainerSpec): ContainerDevice {
  const { permissions, uid = spec.user.uid, gid = spec.user.gid } = device;
  const bits = (permissions.includes('r') ? 4 : 0) | (permissions.includes('w') ? 2 : 0);
  const mode = device.mode ?? (bits << 6) | (bits << 3);
  return { ...device, mode, ...onHost(spec, { uid, gid }) };
}

function checkedPlace(path: string): string {
  const [, top, ...parts] = path.split('/');
  if (top !== 'dev' || parts.length === 0 || parts.some((part) => part === '' || part === '.' || part === '..'))
    throw new IsolationRefused(`devices: ${path} must be a path below /dev`);
  if (ownDirectories.has(parts[0]!) || (parts.length === 1 && usual.has(parts[0]!)))
    throw new IsolationRefused(`devices: ${path} is taken, it is a place of the container's own`);
  return path;
}

function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.slice(2).map((_, index) => parts.slice(0, index + 3).join('/'));
}

/** With the host's owners and modes. Links are left out: programs that look for them find the devices by number in /sys. */
function listDevices(directory: string, prefix = ''): ContainerDevice[] {
  return readdirSync(`${directory}${prefix}`, { withFileTypes: true }).flatMap((entry) => {
    const path = `${prefix}/${entry.name}`;
    if (prefix === '' && (usual.has(entry.name) || ownDirectories.has(entry.name))) return [];
    if (entry.isDirectory()) return listDevices(directory, path);
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return [];
    const found = lstatSync(`${directory}${path}`, { throwIfNoEntry: false });
    return found === undefined ? [] : [{ path: `/dev${path}`, ...deviceOf(found), permissions: 'rwm' }];
  });
}

/** Type, number, mode and owner of a device file. */
export function deviceOf(stats: Stats): Omit<ContainerDevice, 'path' | 'permissions'> {
  return {
    type: stats.isBlockDevice() ? 'b' : 'c',
    ...deviceNumber(stats.rdev),
    mode: stats.mode & 0o777,
    uid: stats.uid,
    gid: stats.gid,
  };
}

/** As glibc's gnu_dev_major and gnu_dev_minor take st_rdev apart. Bits above 32 are not used by Linux. */
export function deviceNumber(rdev: number): { major: number; minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}
