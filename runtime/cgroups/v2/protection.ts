/**
 * memory.low only counts as far as all levels above have as much of it: our levels get the sum of what is below them. No more than that, or a
 * host mounted with memory_recursiveprot would hand the rest to containers that did not ask for it.
 */
import { readNumber, writeControl } from '../files.ts';
import { listGroups } from '../groups.ts';

export interface MemoryProtection {
  set(id: string, lowBytes: number): void;
  delete(id: string): void;
}

/** `root` is our path below `mount`. What earlier processes promised is read from the groups that exist. */
export function createMemoryProtection(mount: string, root: string): MemoryProtection {
  const low = (group: string) => readNumber(`${group}/memory.low`) ?? 0;
  const containers = new Map(listGroups(`${mount}/${root}`).map((id) => [id, low(`${mount}/${root}/${id}`)]));
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

  return {
    set(id, lowBytes) {
      const before = containers.get(id) ?? 0;
      containers.set(id, lowBytes);
      change(lowBytes - before);
    },
    delete(id) {
      const before = containers.get(id) ?? 0;
      containers.delete(id);
      change(-before);
    },
  };
}
