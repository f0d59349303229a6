/** What of this machine's kernel containers can be given, for Agent.status.platform.features. Looked at once: the kernel does not change. */
import { existsSync, readFileSync } from 'node:fs';
import { CgroupsUnavailable, detectCgroups } from '../../cgroups/detect.ts';
import { createExtraGroups, type ExtraController } from '../../cgroups/extra.ts';
import { hugePageSizes } from '../../cgroups/hugetlb.ts';
import { kernelAppArmor } from '../../isolators/apparmor.ts';
import { formatBytes } from '../../resources/quantity.ts';
import { readNodes } from '../../resources/topology.ts';
import { rootlessState } from '../../rootless/state.ts';

/** Sorted names; docs/guides/isolation.md says what each is good for. */
export function readFeatures(): string[] {
  const features = [
    ...(/\boverlay\b/.test(read('/proc/filesystems')) ? ['overlayfs'] : []),
    ...(read('/proc/sys/kernel/seccomp/actions_avail') !== '' ? ['seccomp'] : []),
    ...(Number(read('/proc/sys/user/max_user_namespaces')) > 0 ? ['user-namespaces'] : []),
    ...(kernelAppArmor.isEnabled() ? ['apparmor'] : []),
    ...(read('/proc/pressure/cpu') !== '' ? ['psi'] : []),
    ...(readNodes().length > 1 ? ['numa'] : []),
    ...hugePageSizes().map((bytes) => `hugepages-${formatBytes(bytes)}`),
    ...cgroupFeatures(),
    ...(rootlessState() === undefined ? [] : ['rootless']),
  ];
  return features.filter((name) => rootlessState() === undefined || !notForUsers.includes(name)).sort();
}

/** The kernel has them, and containers of an agent without root do not. */
const notForUsers = ['apparmor', 'cgroup-devices', 'user-namespaces'];

function cgroupFeatures(): string[] {
  try {
    const host = detectCgroups();
    const extra = createExtraGroups(host, 'tepui', (id) => id);
    const controllers: ExtraController[] = ['devices', 'cpuset', 'io', 'hugetlb'];
    const memory = host.controllers.get('memory')!;
    // The root group of v2 has no such file: any other one has, unless swap is not counted.
    const swap =
      host.version === 'v2' ? existsSync('/proc/swaps') : existsSync(`${memory}/memory.memsw.limit_in_bytes`);
    return [
      ...controllers.flatMap((name) => (extra.version(name) === undefined ? [] : [`cgroup-${name}`])),
      ...(swap ? ['cgroup-swap'] : []),
      ...(host.unified ? ['cgroup-v2-mount'] : []),
    ];
  } catch (error) {
    if (error instanceof CgroupsUnavailable) return [];
    throw error;
  }
}

/** Empty when it is not there. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
