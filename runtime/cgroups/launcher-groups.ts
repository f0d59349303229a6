/**
 * Where the resident launcher and its supervisors live: in a group of ours in each hierarchy in which the agent is not at the top. Ending the agent's
 * own cgroup, as a service manager or a replaced pod does, then ends no container.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { readCgroupMounts } from './detect.ts';
import { readControl, writeControl } from './files.ts';
import { launcherGroup } from './groups.ts';

/** Makes the groups; pairs of a hierarchy's mount and the group's path below it, as the launcher's `serve` takes them. */
export function makeLauncherGroups(
  root: string,
  mountinfo = readFileSync('/proc/self/mountinfo', 'utf8'),
  own = readFileSync('/proc/self/cgroup', 'utf8'),
): string[] {
  const path = `${root}/${launcherGroup}`;
  const mounts = hierarchiesToLeave(mountinfo, own);
  for (const mount of mounts) makeGroup(mount, `${mount}/${path}`);
  return mounts.flatMap((mount) => [mount, path]);
}

/** Mounts of the hierarchies in which a process with this /proc/self/cgroup is below the top. Pure. */
export function hierarchiesToLeave(mountinfo: string, own: string): string[] {
  const mounts = readCgroupMounts(mountinfo);
  const left = own
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      if (path === '/') return [];
      const found = mounts.find(({ type, superOptions }) =>
        controllers === ''
          ? type === 'cgroup2'
          : type === 'cgroup' && controllers.split(',').every((name) => superOptions.includes(name)),
      );
      return found ? [found.mountPoint] : [];
    });
  return [...new Set(left)];
}

/** A new v1 cpuset takes nobody in before it has processors and memory. */
function makeGroup(mount: string, directory: string): void {
  if (directory === mount) return;
  makeGroup(mount, dirname(directory));
  mkdirSync(directory, { recursive: true });
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (readControl(`${directory}/${file}`)?.trim() !== '' || readControl(`${mount}/tasks`) === undefined) continue;
    writeControl(`${directory}/${file}`, readControl(`${dirname(directory)}/${file}`)?.trim() ?? '');
  }
}
