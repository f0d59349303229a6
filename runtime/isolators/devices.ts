/**
 * What a container may open: the usual devices, and those that its document names and the agent allows. Everything else is refused by the kernel
 * (EPERM), also when a device file got into the container.
 *
 * The usual rules cost a launch next to nothing: on v1 all containers without more share one group, on v2 one program is attached above all of
 * them. Only a container with devices of its own, or a privileged one, has rules of its own.
 */
import type { ContainerDevice } from '../containerizers/containerizer.ts';
import { DeviceRulesRefused, setDeviceRules } from '../launcher/devices.ts';
import type { DeviceRule, Operation } from '../launcher/operations.ts';
import { rootlessState } from '../rootless/state.ts';
import type { ContainerSpec, Isolator, IsolatorHost } from './isolator.ts';
import { isPrivileged } from './privileged.ts';

/** null, zero, full, random, urandom, tty, ptmx, pts. Of Mesos's list not the consoles, tun, and the right to make any node. */
export const usualRules: readonly DeviceRule[] = [
  ...[3, 5, 7, 8, 9].map((minor): DeviceRule => ({ type: 'c', major: 1, minor, access: 'rwm' })),
  { type: 'c', major: 5, minor: 0, access: 'rwm' },
  { type: 'c', major: 5, minor: 2, access: 'rwm' },
  { type: 'c', major: 136, access: 'rwm' },
];
const everything: readonly DeviceRule[] = [{ type: 'a', access: 'rwm' }];

export function deviceAccessIsolator({ cgroups: { extra }, launcherBinary }: IsolatorHost): Isolator {
  const isUsers = rootlessState() !== undefined;
  let version = isUsers ? undefined : extra.version('devices');
  let unavailable = isUsers
    ? 'it runs without root'
    : 'its kernel has neither the devices controller nor a cgroup v2 mount';
  return {
    name: 'cgroups/devices',
    unavailable: () => (version === undefined ? unavailable : undefined),
    asks: ({ devices }) => ((devices?.length ?? 0) > 0 ? 'devices' : undefined),
    problems: () =>
      version === undefined ? [`devices: this agent cannot limit what devices are opened: ${unavailable}`] : [],

    /** An agent that may not load BPF programs (in a container, say) goes without: /dev and the capabilities still keep devices away. */
    async open() {
      const group = version === 'v1' ? extra.aboveShared() : version === 'v2' ? extra.top() : undefined;
      // On v1 its members are below it, made when all rules were set. Setting them anew would take the devices from running containers for a
      // moment, and the kernel refuses it while there are groups below.
      if (group === undefined || extra.findShared('devices') !== undefined) return;
      try {
        await setDeviceRules(group, usualRules, launcherBinary === undefined ? {} : { binary: launcherBinary });
      } catch (error) {
        if (!(error instanceof DeviceRulesRefused)) throw error;
        unavailable = error.message;
        version = undefined;
      }
    },

    prepare(spec) {
      if (version === 'v1' && hasOwnRules(spec)) extra.add(spec.containerId, 'devices');
    },

    contribute(spec) {
      if (version === undefined) return {};
      const own = hasOwnRules(spec);
      const group = own ? extra.find(spec.containerId, 'devices') : undefined;
      const joined = version === 'v1' ? (group ?? extra.shared('devices')) : undefined;
      return {
        ...(joined !== undefined && { join: [{ op: 'joinCgroup', path: `${joined}/tasks` }] }),
        // The nodes are made by the first process itself, which needs `m` for that.
        ...(group !== undefined && { setup: [rulesOperation(group, spec, 'm')] }),
      };
    },
  };
}

/** After the nodes are made: the rules that stay. */
export function deviceSealIsolator({ cgroups: { extra } }: IsolatorHost): Isolator {
  return {
    name: 'cgroups/devices-seal',
    contribute(spec) {
      const group = hasOwnRules(spec) ? extra.find(spec.containerId, 'devices') : undefined;
      const isOpen = (spec.devices ?? []).some(({ permissions }) => !permissions.includes('m'));
      return group !== undefined && isOpen && !isPrivileged(spec) ? { setup: [rulesOperation(group, spec, '')] } : {};
    },
  };
}

function hasOwnRules(spec: ContainerSpec): boolean {
  return isPrivileged(spec) || (spec.devices?.length ?? 0) > 0;
}

function rulesOperation(cgroup: string, spec: ContainerSpec, more: string): Operation {
  return { op: 'deviceRules', cgroup, rules: isPrivileged(spec) ? [...everything] : rulesOf(spec.devices ?? [], more) };
}

/** One rule per device: the kernel looks for a single one that allows all that is asked for. */
function rulesOf(devices: readonly ContainerDevice[], more: string): DeviceRule[] {
  const rules = new Map<string, DeviceRule>();
  for (const { type, major, minor, permissions } of devices) {
    const key = `${type} ${major}:${minor}`;
    const access = [...new Set([...(rules.get(key)?.access ?? ''), ...permissions, ...more])].join('');
    rules.set(key, { type, major, minor, access });
  }
  return [...usualRules, ...rules.values()];
}
