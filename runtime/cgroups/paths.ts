/**
 * Where a container's groups are below our root. A container of a task group, `<group id>.<name>`, has its groups below those of the task; every
 * other one directly below the root.
 */
import { listGroups } from './groups.ts';

export interface GroupPaths {
  /** Relative to our root. */
  pathOf(id: string): string;
  /** The task group that a container belongs to. */
  groupOf(id: string): string | undefined;
  /** The containers that have groups, those of task groups among them. */
  containers(): string[];
  /** Ids of the task groups. */
  groups(): string[];
  add(groupId: string): void;
  delete(groupId: string): void;
}

/** `tops` are the directories of our root in each hierarchy: what earlier processes made is read from there. */
export function openGroupPaths(tops: string[]): GroupPaths {
  // Names that begin with `_` are ours.
  const names = () => [...new Set(tops.flatMap((top) => listGroups(top)))].filter((name) => !name.startsWith('_'));
  const members = (name: string) => [
    ...new Set(tops.flatMap((top) => listGroups(`${top}/${name}`)).filter((child) => child.startsWith(`${name}.`))),
  ];
  const groups = new Set(names().filter((name) => members(name).length > 0));
  const groupOf = (id: string) => {
    const prefix = prefixOf(id);
    return prefix !== undefined && groups.has(prefix) ? prefix : undefined;
  };
  return {
    groupOf,
    pathOf(id) {
      const group = groupOf(id);
      return group === undefined ? id : `${group}/${id}`;
    },
    containers: () => names().flatMap((name) => (groups.has(name) ? members(name) : [name])),
    groups: () => [...groups],
    add: (groupId) => void groups.add(groupId),
    delete: (groupId) => void groups.delete(groupId),
  };
}

/** Group ids have no dot: what is before the first one is that of the task. */
export function prefixOf(id: string): string | undefined {
  const dot = id.indexOf('.');
  return dot < 1 ? undefined : id.slice(0, dot);
}
