/** A read-only /sys (writable if the container is privileged), with the container's own cgroups below /sys/fs/cgroup so that programs can read their limits. */
import { existsSync } from 'node:fs';
import type { GroupView } from '../../cgroups/driver.ts';
import type { MountFlag, Operation } from '../../launcher/operations.ts';
import { inOwnUserNamespace } from '../../rootless/state.ts';
import type { ContainerSpec, Isolator, IsolatorHost } from '../isolator.ts';
import { hasNewNetwork } from '../namespaces.ts';
import { isPrivileged } from '../privileged.ts';

const maskedPaths = ['/sys/firmware', '/sys/devices/virtual/powercap'];
const flags: MountFlag[] = ['ro', 'nosuid', 'nodev', 'noexec'];

export function sysIsolator({ cgroups }: IsolatorHost): Isolator {
  const masks = maskedPaths.filter((path) => existsSync(path)).map((path): Operation => ({ op: 'mask', path }));
  const fixed: Operation[] = [{ op: 'mount', source: 'sysfs', target: '/sys', fstype: 'sysfs', flags }, ...masks];
  // sysfs is mounted by root of the network that it shows: with the host's network a user has the host's own. The cgroups in it are covered first,
  // since the kernel does not mount the same file system on itself.
  const bound: Operation[] = [
    { op: 'mount', source: '/sys', target: '/sys', flags: ['rbind', ...flags] },
    { op: 'mask', path: '/sys/fs/cgroup' },
    ...masks,
  ];
  const readOnly = (spec: ContainerSpec) => (inOwnUserNamespace() && !hasNewNetwork(spec) ? bound : fixed);
  const writable: Operation = {
    op: 'mount',
    source: 'sysfs',
    target: '/sys',
    fstype: 'sysfs',
    flags: flags.filter((flag) => flag !== 'ro'),
  };
  return {
    name: 'filesystem/sys',
    contribute: (spec) => ({
      setup: [...(isPrivileged(spec) ? [writable] : readOnly(spec)), ...cgroupMounts(cgroups.views(spec.containerId))],
    }),
  };
}

function cgroupMounts(views: GroupView[]): Operation[] {
  const target = '/sys/fs/cgroup';
  if (views.some((view) => view.kind === 'unified')) {
    return [{ op: 'mount', source: 'cgroup2', target, fstype: 'cgroup2', flags }];
  }
  const operations: Operation[] = [
    { op: 'mount', source: 'tmpfs', target, fstype: 'tmpfs', flags: ['nosuid', 'nodev', 'noexec'], data: 'mode=0755' },
  ];
  for (const view of views) {
    if (view.kind !== 'controller') continue;
    operations.push({ op: 'mkdir', path: `${target}/${view.controller}`, mode: 0o755 });
    operations.push({
      op: 'mount',
      source: view.directory,
      target: `${target}/${view.controller}`,
      flags: ['bind', ...flags],
    });
  }
  return [...operations, { op: 'setMountAttributes', target, set: ['ro'], recursive: false }];
}
