/** Runtimes make groups in every cgroup v1 hierarchy, also in those that we do not use: what is left there goes with the container. */
import { readFileSync } from 'node:fs';
import { readCgroupMounts } from '../../cgroups/detect.ts';
import { removeEmptyPath, removeTree } from '../../cgroups/groups.ts';

/** `path` is relative to each hierarchy. Our own groups among them are removed as well: their container is gone. */
export async function removeForeignGroups(path: string): Promise<void> {
  for (const hierarchy of hierarchies()) await removeTree(`${hierarchy}/${path}`);
}

/** The empty upper levels of `root` in all hierarchies. */
export function removeForeignRoot(root: string): void {
  for (const hierarchy of hierarchies()) removeEmptyPath(hierarchy, root);
}

/** Also those without a controller, such as v1's `name=systemd`. */
function hierarchies(): Set<string> {
  return new Set(readCgroupMounts(readFileSync('/proc/self/mountinfo', 'utf8')).map(({ mountPoint }) => mountPoint));
}
