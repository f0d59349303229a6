/**
 * memory.low only counts as far as all levels above have as much of it: our levels get the sum of what is below them. No more than that, or a
 * host mounted with memory_recursiveprot would hand the rest to containers that did not ask for it.
 */
import { readNumber, writeControl, writeControlIfPresent } from '../files.ts';
import { listGroups } from '../groups.ts';
import type { GroupPaths } from '../paths.ts';

export interface MemoryProtection {
  set(id: string, lowBytes: number): void;
  delete(id: string): void;
}

/** `root` is our path below `mount`. What earlier processes promised is read from the groups that exist. */
export function createMemoryProtection(mount: string, root: string, paths: GroupPaths): MemoryProtection {
  const low = (group: string) => readNumber(`${group}/memory.low`) ?? 0;
  const containers = new Map(paths.containers().map((id) => [id, low(`${mount}/${root}/${paths.pathOf(id)}`)]));
  let sum = containers.values().reduce((total, bytes) => total + bytes, 0);

  const change = (difference: number) => {
    if (difference === 0) return;
    sum += difference;
    const names = root.split('/');
    writeControl(`${mount}/${root}/memory.low`, sum);
    // The levels between are shared with other instances.
    for (let depth = names.length - 1; depth > 0; depth--) {
      const level = [mount, ...names.slice(0, depth)].join('/');
      writeControl(
        `${level}/memory.low`,
        listGroups(level).reduce((total, name) => total + low(`${level}/${name}`), 0),
      );
    }
  };

  const changeGroup = (id: string) => {
    const group = paths.groupOf(id);
    if (group === undefined) return;
    const members = containers.entries().filter(([member]) => paths.groupOf(member) === group);
    writeControlIfPresent(
      `${mount}/${root}/${group}/memory.low`,
      members.reduce((total, [, bytes]) => total + bytes, 0),
    );
  };

  return {
    set(id, lowBytes) {
      // A task's own group has what its containers have.
      if (paths.groups().includes(id)) return;
      const before = containers.get(id) ?? 0;
      containers.set(id, lowBytes);
      changeGroup(id);
      change(lowBytes - before);
    },
    delete(id) {
      const before = containers.get(id) ?? 0;
      containers.delete(id);
      changeGroup(id);
      change(-before);
    },
  };
}
