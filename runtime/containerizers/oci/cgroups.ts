/** Runtimes make groups in every cgroup v1 hierarchy, also in those that we do not use: what is left there goes with the container. */
import type { CgroupHost } from '../../cgroups/detect.ts';
import { removeEmptyPath, removeTree } from '../../cgroups/groups.ts';

/** `path` is relative to each hierarchy. Our own groups among them are removed as well: their container is gone. */
export async function removeForeignGroups({ controllers }: CgroupHost, path: string): Promise<void> {
  for (const hierarchy of new Set(controllers.values())) await removeTree(`${hierarchy}/${path}`);
}

/** The empty upper levels of `root` in all hierarchies. */
export function removeForeignRoot({ controllers }: CgroupHost, root: string): void {
  for (const hierarchy of new Set(controllers.values())) removeEmptyPath(hierarchy, root);
}
