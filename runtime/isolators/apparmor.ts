/** AppArmor profile of the command: one that is loaded on the agent, or none. Without the field nothing is changed. */
import { readFileSync } from 'node:fs';
import { type ContainerSpec, IsolationRefused, type Isolator } from './isolator.ts';
import { isPrivileged } from './privileged.ts';

/** Docker's and containerd's, which distributions load with them: what `RuntimeDefault` takes, the first that is loaded. */
const defaultProfiles = ['tepui-default', 'docker-default', 'cri-containerd.apparmor.d', 'containers-default'];

export interface AppArmorHost {
  isEnabled(): boolean;
  /** Names of the loaded profiles; undefined when they cannot be read. */
  profiles(): string[] | undefined;
}

export function appArmorIsolator(host: AppArmorHost = kernelAppArmor): Isolator {
  return {
    name: 'linux/apparmor',
    asks: ({ security }) => (security?.appArmorProfile ? 'security.appArmorProfile' : undefined),
    problems({ security }) {
      const field = 'security.appArmorProfile';
      const { type, localhostProfile } = security?.appArmorProfile ?? {};
      if (!host.isEnabled()) return type === 'Unconfined' ? [] : [`${field}: this agent has no AppArmor`];
      const loaded = host.profiles();
      if (loaded === undefined) return [];
      if (type === 'Localhost' && !loaded.includes(localhostProfile ?? ''))
        return [`${field}.localhostProfile: "${localhostProfile}" is not loaded on this agent`];
      if (type === 'RuntimeDefault' && !defaultProfiles.some((name) => loaded.includes(name)))
        return [`${field}.type: none of the usual profiles is loaded on this agent (${defaultProfiles.join(', ')})`];
      return [];
    },
    contribute(spec) {
      const profile = profileOf(spec, host);
      return profile === undefined ? {} : { privileges: [{ op: 'appArmorProfile', profile }] };
    },
  };
}

function profileOf(spec: ContainerSpec, host: AppArmorHost): string | undefined {
  const { type, localhostProfile } = spec.container.security?.appArmorProfile ?? {};
  if (type === undefined || !host.isEnabled()) return undefined;
  if (type === 'Unconfined' || (type === 'RuntimeDefault' && isPrivileged(spec))) return 'unconfined';
  if (type === 'RuntimeDefault') return defaultProfiles.find((name) => host.profiles()?.includes(name));
  // The name becomes the second word of a line that the kernel reads.
  if (!localhostProfile || /[\0\n]/.test(localhostProfile))
    throw new IsolationRefused('security.appArmorProfile.localhostProfile: is no name of a profile');
  return localhostProfile;
}

export const kernelAppArmor: AppArmorHost = {
  isEnabled: () => read('/sys/module/apparmor/parameters/enabled')?.trim() === 'Y',
  // `NAME (MODE)` in each line.
  profiles: () =>
    read('/sys/kernel/security/apparmor/profiles')
      ?.split('\n')
      .flatMap((line) => /^(.+) \(\w+\)$/.exec(line)?.[1] ?? []),
};

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
