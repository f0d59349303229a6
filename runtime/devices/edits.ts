/** What devices add to a launch, put together from device files and CDI devices. */
import { existsSync } from 'node:fs';
import type { ContainerDevice, ContainerMount } from '../containerizers/containerizer.ts';
import type { CdiDevice } from './cdi/registry.ts';
import type { CdiDeviceNode, CdiEdits, CdiMount } from './cdi/specification.ts';
import { cdiDevice } from './device-file.ts';
import { DeviceRefused } from './device-refused.ts';

export interface DeviceEdits {
  devices: ContainerDevice[];
  mounts: ContainerMount[];
  env: Record<string, string>;
  supplementalGids: number[];
}

/** CDI's default. */
const defaultPermissions = 'rw';

/** Those of the specification once, then those of each device, in order: later ones win. Reads the nodes' numbers where it does not say them. */
export function cdiEdits(devices: readonly CdiDevice[]): DeviceEdits {
  const edits: DeviceEdits = { devices: [], mounts: [], env: {}, supplementalGids: [] };
  const seen = new Set<CdiEdits>();
  for (const device of devices) {
    for (const each of [device.common, device.edits]) {
      if (seen.has(each)) continue;
      seen.add(each);
      addEdits(edits, each, device);
    }
  }
  return edits;
}

function addEdits(
  edits: DeviceEdits,
  { env, deviceNodes, mounts, additionalGids, refused }: CdiEdits,
  { name, file }: CdiDevice,
): void {
  const place = `devices: ${name}`;
  if (refused.length > 0)
    throw new DeviceRefused(
      `${place}: its specification ${file} needs ${refused.join(', ')}, which this agent does not run`,
    );
  for (const node of deviceNodes) {
    const device = toDevice(node, place);
    edits.devices = [...edits.devices.filter(({ path }) => path !== device.path), device];
  }
  for (const mount of mounts) {
    const bind = toMount(mount, place);
    edits.mounts = [...edits.mounts.filter(({ target }) => target !== bind.target), bind];
  }
  for (const entry of env) edits.env[entry.slice(0, entry.indexOf('='))] = entry.slice(entry.indexOf('=') + 1);
  // 0 would be more than a device is worth; CDI leaves it out as well.
  edits.supplementalGids = [...new Set([...edits.supplementalGids, ...additionalGids.filter((gid) => gid > 0)])];
}

/** Of the host's file unless the specification says it itself. Without an owner it belongs to the container's user. */
function toDevice(node: CdiDeviceNode, place: string): ContainerDevice {
  const isComplete = node.type !== undefined && node.major !== undefined && node.minor !== undefined;
  const { type, major, minor } = isComplete
    ? { type: node.type === 'b' ? ('b' as const) : ('c' as const), major: node.major!, minor: node.minor! }
    : cdiDevice(node.hostPath ?? node.path, place);
  return {
    path: node.path,
    type,
    major,
    minor,
    permissions: node.permissions ?? defaultPermissions,
    ...(node.fileMode !== undefined && { mode: node.fileMode & 0o777 }),
    ...(node.uid !== undefined && { uid: node.uid }),
    ...(node.gid !== undefined && { gid: node.gid }),
  };
}

/** Always without set-user-id programs and devices; read-only where it says so. */
function toMount({ hostPath, containerPath, options }: CdiMount, place: string): ContainerMount {
  if (!existsSync(hostPath)) throw new DeviceRefused(`${place}: ${hostPath} is not there`);
  return { source: hostPath, target: containerPath, readOnly: options.includes('ro') };
}
