/**
 * Every cgroup hierarchy of the machine, also those that we do not use: OCI runtimes and the Docker Engine make groups for our containers in all of
 * them, with our path.
 */
import { readFileSync } from 'node:fs';
import { readCgroupMounts } from './detect.ts';
import { removeGroup } from './files.ts';
import { listGroups, removeEmptyPath, removeTree } from './groups.ts';

/** Mount points, also of hierarchies without a controller, such as v1's `name=systemd`. */
export function allHierarchies(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): string[] {
  return [...new Set(readCgroupMounts(mountinfo).map(({ mountPoint }) => mountPoint))];
}

/** Removes a group that is `path` in each hierarchy, with what is below. Its container is gone, or going. */
export async function removeEverywhere(path: string): Promise<void> {
  for (const hierarchy of allHierarchies()) await removeTree(`${hierarchy}/${path}`);
}

/** The empty upper levels of `root` in all hierarchies. */
export function removeEmptyRoot(root: string): void {
  for (const hierarchy of allHierarchies()) removeEmptyPath(hierarchy, root);
}

/**
 * After the last container of a root and its launcher: what they shared, then the root and its empty parents. A launcher takes a moment to go; a
 * group in which somebody stays is left.
 */
export async function removeSharedGroups(root: string, deadlineMs = 2000): Promise<void> {
  for (const hierarchy of allHierarchies()) {
    await removeShared(`${hierarchy}/${root}`, deadlineMs);
    removeEmptyPath(hierarchy, root);
  }
}

/** Names that begin with `_` are no container's; only `_shared` of devices has a group below. */
async function removeShared(directory: string, deadlineMs: number): Promise<void> {
  for (const name of listGroups(directory).filter((each) => each.startsWith('_'))) {
    for (const child of listGroups(`${directory}/${name}`))
      await removeGroup(`${directory}/${name}/${child}`, deadlineMs).catch(() => {});
    await removeGroup(`${directory}/${name}`, deadlineMs).catch(() => {});
  }
}
