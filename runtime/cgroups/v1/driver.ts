/**
 * cgroup v1, and the hybrid layout: one group per controller hierarchy, `<mount>/<root>/<id>`. On a hybrid host the v2 mount takes
 * part with a group of its own, for CLONE_INTO_CGROUP, cgroup.kill, cgroup.freeze and CPU times.
 */
import { mkdirSync } from 'node:fs';
import type { CgroupHost } from '../detect.ts';
import type { CgroupDriver, Placement } from '../driver.ts';
import { createExtraGroups } from '../extra.ts';
import { writeControl, writeControlIfPresent } from '../files.ts';
import { processesOf, removeEmptyPath, removeTree } from '../groups.ts';
import { killTree, killUnified } from '../kill.ts';
import { openGroupPaths } from '../paths.ts';
import { createPidsController } from '../pids.ts';
import { createCpuController } from './cpu.ts';
import { setFrozen } from './freezer.ts';
import { createMemoryController } from './memory.ts';

/** `root` is the path of our root group below each hierarchy, for example `tepui/0123456789ab`. */
export function createV1Driver(host: CgroupHost, root: string): CgroupDriver {
  const unified = host.unified;
  const controllers = usedControllers(host);
  // Co-mounted controllers (cpu,cpuacct) share a directory: make and remove it once.
  const hierarchies = [...new Set([...controllers.values(), ...(unified ? [unified] : [])])];
  for (const hierarchy of hierarchies) mkdirSync(`${hierarchy}/${root}`, { recursive: true });
  const paths = openGroupPaths(hierarchies.map((hierarchy) => `${hierarchy}/${root}`));
  const groupOf = (hierarchy: string, id: string) => `${hierarchy}/${root}/${paths.pathOf(id)}`;
  const directoryOf = (controller: string) => {
    const mount = controllers.get(controller);
    return mount ? (id: string) => groupOf(mount, id) : undefined;
  };
  const unifiedOf = unified ? (id: string) => groupOf(unified, id) : undefined;
  const anyGroup = (id: string) => unifiedOf?.(id) ?? directoryOf('pids')!(id);

  const extra = createExtraGroups(host, root, unifiedOf);

  return {
    version: host.version,
    extra,
    cpu: createCpuController(directoryOf('cpu')!, { unified: unifiedOf, cpuacct: directoryOf('cpuacct') }),
    memory: createMemoryController(directoryOf('memory')!, host.controllers.get('memory')!),
    pids: createPidsController(directoryOf('pids')!),

    create(id) {
      for (const hierarchy of hierarchies) mkdirSync(groupOf(hierarchy, id));
    },

    createGroup(groupId) {
      for (const hierarchy of hierarchies) mkdirSync(groupOf(hierarchy, groupId), { recursive: true });
      // Kernels before 5.11 count the lower groups only when told to, and only before there are any.
      if (!paths.groups().includes(groupId))
        writeControlIfPresent(`${directoryOf('memory')!(groupId)}/memory.use_hierarchy`, 1);
      paths.add(groupId);
    },

    placement: (id): Placement => {
      const join = [...new Set(controllers.values())].map((mount) => `${groupOf(mount, id)}/tasks`);
      return {
        join,
        joinLater: unifiedOf ? [...join, `${unifiedOf(id)}/cgroup.procs`] : join,
        ...(unifiedOf && { cloneInto: unifiedOf(id) }),
      };
    },

    views: (id) =>
      (['cpu', 'memory', 'pids'] as const).map((controller) => ({
        kind: 'controller',
        controller,
        directory: directoryOf(controller)!(id),
      })),

    unified: (id) => unifiedOf?.(id),

    processes: (id) => processesOf(anyGroup(id)),

    kill(id) {
      if (unifiedOf) killUnified(unifiedOf(id));
      // A process that had not joined the v2 group, or a host without one.
      for (const mount of new Set(controllers.values())) killTree(groupOf(mount, id));
    },

    freeze(id, frozen) {
      if (unifiedOf) writeControl(`${unifiedOf(id)}/cgroup.freeze`, frozen ? 1 : 0);
      else setFrozen(directoryOf('freezer')!(id), frozen);
    },

    list: () => [...new Set([...paths.containers(), ...extra.list()])],
    groups: paths.groups,
    groupOf: paths.groupOf,

    async remove(id) {
      for (const hierarchy of hierarchies) await removeTree(groupOf(hierarchy, id));
      await extra.remove(id);
      paths.delete(id);
    },

    removeRoot() {
      for (const hierarchy of hierarchies) removeEmptyPath(hierarchy, root);
      extra.removeRoot();
    },
  };
}

/** Hybrid hosts read CPU times from v2 and freeze there, so two hierarchies fewer are made per container. */
function usedControllers(host: CgroupHost): Map<string, string> {
  const names = host.unified ? ['cpu', 'memory', 'pids'] : ['cpu', 'memory', 'pids', 'cpuacct', 'freezer'];
  return new Map(names.flatMap((name) => (host.controllers.has(name) ? [[name, host.controllers.get(name)!]] : [])));
}
