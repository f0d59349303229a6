/**
 * cgroup v2: one group per container, `<mount>/<root>/<id>` (`<mount>/<root>/<group id>/<id>` in a task group). Our upper levels never hold a process and a container's group never
 * switches controllers on for children, so the no-internal-process rule holds without a `leaf` below each container; and a program
 * inside finds its own limits at the top of its /sys/fs/cgroup.
 */
import { mkdirSync } from 'node:fs';
import type { CgroupHost } from '../detect.ts';
import { CgroupsUnavailable, requiredControllers } from '../detect.ts';
import type { CgroupDriver } from '../driver.ts';

import { createExtraGroups } from '../extra.ts';
import { errorCode, readControl, writeControl } from '../files.ts';
import { processesOf, removeEmptyPath, removeTree } from '../groups.ts';
import { killUnified } from '../kill.ts';
import { openGroupPaths } from '../paths.ts';
import { createPidsController } from '../pids.ts';
import { createCpuController } from './cpu.ts';
import { createMemoryController } from './memory.ts';
import { createMemoryProtection } from './protection.ts';

/** `root` is the path of our root group below the mount, for example `tepui/0123456789ab`. */
export function createV2Driver(host: CgroupHost, root: string): CgroupDriver {
  const mount = host.unified!;
  enableControllers(mount, root);
  const paths = openGroupPaths([`${mount}/${root}`]);
  const directoryOf = (id: string) => `${mount}/${root}/${paths.pathOf(id)}`;
  const protection = createMemoryProtection(mount, root, paths);

  return {
    version: 'v2',
    extra: createExtraGroups(host, root, directoryOf),
    cpu: createCpuController(directoryOf),
    memory: createMemoryController(directoryOf, protection, `${mount}/${root}`),
    pids: createPidsController(directoryOf),
    create: (id) => mkdirSync(directoryOf(id)),
    createGroup(groupId) {
      enableControllers(mount, `${root}/${groupId}`);
      paths.add(groupId);
    },
    placement: (id) => ({
      cloneInto: directoryOf(id),
      join: [],
      joinLater: [`${directoryOf(id)}/cgroup.procs`],
    }),
    views: () => [{ kind: 'unified' }],
    processes: (id) => processesOf(directoryOf(id)),
    kill: (id) => killUnified(directoryOf(id)),
    freeze: (id, frozen) => writeControl(`${directoryOf(id)}/cgroup.freeze`, frozen ? 1 : 0),
    list: paths.containers,
    groups: paths.groups,
    groupOf: paths.groupOf,
    // A container without a cgroup view of its own cannot make groups, one with privileges can, and so does an OCI runtime.
    async remove(id) {
      await removeTree(directoryOf(id));
      protection.delete(id);
      paths.delete(id);
    },
    removeRoot: () => removeEmptyPath(mount, root),
    unified: directoryOf,
  };
}

/** Switches the controllers on for the children of each level from the mount down to our root, where they are not on yet. */
function enableControllers(mount: string, root: string): void {
  const levels = [mount];
  for (const name of root.split('/')) levels.push(`${levels.at(-1)}/${name}`);
  for (const level of levels) {
    mkdirSync(level, { recursive: true });
    const enabled = readControl(`${level}/cgroup.subtree_control`)?.trim().split(' ') ?? [];
    const missing = requiredControllers.filter((name) => !enabled.includes(name));
    if (missing.length === 0) continue;
    try {
      writeControl(`${level}/cgroup.subtree_control`, missing.map((name) => `+${name}`).join(' '));
    } catch (error) {
      if (errorCode((error as Error).cause) !== 'EBUSY') throw error;
      throw new CgroupsUnavailable(
        `cannot switch on ${missing.join(', ')} for the children of ${level}: processes are in it. ` +
          'Run in the host cgroup namespace, or move them into a group of their own',
      );
    }
  }
}
