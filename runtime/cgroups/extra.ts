/**
 * Groups in the controllers that only some containers use. A container that asks for nothing has none of them, so they cost it nothing: on
 * v1 a hierarchy is left alone until the first container needs it, on v2 a controller stays off until then.
 *
 * v1: `<mount>/<root>/<id>`, flat also for the containers of a task group. v2: the container's own group, with the controller switched on in all
 * groups above it. Names that begin with `_` are ours and no container's: ids begin with a letter or digit.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { CgroupHost } from './detect.ts';
import { readControl, removeGroup, writeControl } from './files.ts';
import { listGroups, removeEmptyPath } from './groups.ts';

export type ExtraController = 'devices' | 'cpuset' | 'io' | 'hugetlb';

export interface ExtraGroups {
  /** How this host has the controller; undefined: not at all. `devices` is no controller in v2, a group has a program instead. */
  version(controller: ExtraController): 'v1' | 'v2' | undefined;
  /** Makes the container's group in the controller, after `create`. Idempotent. Returns its directory; on v1 its `tasks` are still to be joined. */
  add(id: string, controller: ExtraController): string;
  /** The directory of a container that has one. */
  find(id: string, controller: ExtraController): string | undefined;
  /** v1: a group that several containers share, made when it is missing. */
  shared(controller: ExtraController): string;
  /** v1: the group above the shared one of devices, made alone: while it has no groups below, its rules can be set. */
  aboveShared(): string;
  findShared(controller: ExtraController): string | undefined;
  /** v2: the group above all containers. */
  top(): string;
  list(): string[];
  remove(id: string): Promise<void>;
  removeRoot(): void;
}

const controllers: ExtraController[] = ['devices', 'cpuset', 'io', 'hugetlb'];
/**
 * The members of a shared devices group are one level below it: what a member changes of its own group, should it be able to mount cgroupfs, ends at
 * what the group above has, and that is outside of its cgroup namespace.
 */
const sharedName = (controller: ExtraController) => (controller === 'devices' ? '_shared/members' : '_shared');

/** `root` is the path of our root group below each hierarchy; `unifiedOf` gives a container's v2 group, where the host has one. */
export function createExtraGroups(
  host: CgroupHost,
  root: string,
  unifiedOf: ((id: string) => string) | undefined,
): ExtraGroups {
  const version = (controller: ExtraController) => {
    const mount = host.controllers.get(controller === 'io' && host.version !== 'v2' ? 'blkio' : controller);
    if (mount !== undefined && mount !== host.unified) return 'v1';
    if (mount !== undefined || (controller === 'devices' && host.unified !== undefined)) return 'v2';
    return undefined;
  };
  const mountOf = (controller: ExtraController) => host.controllers.get(controller === 'io' ? 'blkio' : controller)!;
  const inV1 = controllers.filter((controller) => version(controller) === 'v1');
  // What an earlier agent process made.
  const members = new Map(
    inV1.map((controller) => [
      controller,
      new Set(listGroups(`${mountOf(controller)}/${root}`).filter((name) => !name.startsWith('_'))),
    ]),
  );
  const make = (controller: ExtraController, name: string) => {
    const directory = `${mountOf(controller)}/${root}/${name}`;
    if (controller === 'cpuset') makeCpusets(mountOf(controller), directory);
    else mkdirSync(directory, { recursive: true });
    return directory;
  };

  return {
    version,
    add(id, controller) {
      if (version(controller) === 'v1') {
        members.get(controller)!.add(id);
        return make(controller, id);
      }
      const directory = unifiedOf!(id);
      if (controller !== 'devices') enableAbove(host.unified!, directory, controller);
      return directory;
    },
    find(id, controller) {
      if (version(controller) === 'v2') return unifiedOf!(id);
      return members.get(controller)?.has(id) ? `${mountOf(controller)}/${root}/${id}` : undefined;
    },
    shared: (controller) => make(controller, sharedName(controller)),
    aboveShared: () => make('devices', dirname(sharedName('devices'))),
    findShared(controller) {
      const directory = `${mountOf(controller)}/${root}/${sharedName(controller)}`;
      return version(controller) === 'v1' && existsSync(directory) ? directory : undefined;
    },
    top: () => `${host.unified}/${root}`,
    list: () => [...members.values()].flatMap((ids) => [...ids]),
    async remove(id) {
      for (const [controller, ids] of members) {
        if (!ids.has(id)) continue;
        await removeGroup(`${mountOf(controller)}/${root}/${id}`);
        ids.delete(id);
      }
    },
    removeRoot() {
      for (const controller of inV1) {
        removeEmptyPath(mountOf(controller), `${root}/${sharedName(controller)}`);
        // Its members may never have been made.
        removeEmptyPath(mountOf(controller), `${root}/_shared`);
      }
      for (const controller of inV1) removeEmptyPath(mountOf(controller), root);
    },
  };
}

/** A new v1 cpuset has neither processors nor memory, and takes nobody in before it has both: each level starts with its parent's. */
function makeCpusets(mount: string, directory: string): void {
  if (directory === mount) return;
  makeCpusets(mount, dirname(directory));
  mkdirSync(directory, { recursive: true });
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (readControl(`${directory}/${file}`)?.trim() !== '') continue;
    writeControl(`${directory}/${file}`, readControl(`${dirname(directory)}/${file}`)?.trim() ?? '');
  }
}

/** Switches a v2 controller on for the children of every group between the mount and `directory`, where it is not on yet. */
function enableAbove(mount: string, directory: string, controller: ExtraController): void {
  if (directory === mount) return;
  const parent = dirname(directory);
  enableAbove(mount, parent, controller);
  const enabled = readControl(`${parent}/cgroup.subtree_control`)?.trim().split(' ') ?? [];
  if (!enabled.includes(controller)) writeControl(`${parent}/cgroup.subtree_control`, `+${controller}`);
}
