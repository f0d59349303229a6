/** Which user and group ids there are in the agent's user namespace. With root of the machine: all of them. */
import { readFileSync } from 'node:fs';

export type IdKind = 'uid' | 'gid';

interface Range {
  first: number;
  count: number;
}

const ranges = new Map<IdKind, Range[]>();

/** Whether the kernel lets a process of this agent have the id. */
export function isMapped(kind: IdKind, id: number): boolean {
  return rangesOf(kind).some(({ first, count }) => id >= first && id < first + count);
}

/** Whether root is the only user there is: its owner has no subordinate ids. */
export function hasOneIdOnly(): boolean {
  return rangesOf('uid').reduce((sum, { count }) => sum + count, 0) === 1;
}

/** `0-65536`, as messages say it. */
export function mappedIds(kind: IdKind): string {
  return rangesOf(kind)
    .map(({ first, count }) => (count === 1 ? `${first}` : `${first}-${first + count - 1}`))
    .join(',');
}

/** `nobody`, or root where there is nobody else: for what needs no privilege. */
export function unprivilegedIds(): { uid: number; gid: number } {
  const nobody = 65534;
  return isMapped('uid', nobody) && isMapped('gid', nobody) ? { uid: nobody, gid: nobody } : { uid: 0, gid: 0 };
}

/** The map does not change while a process lives. */
function rangesOf(kind: IdKind): Range[] {
  const known = ranges.get(kind);
  if (known) return known;
  const found = parseIdMap(read(`/proc/self/${kind}_map`));
  ranges.set(kind, found);
  return found;
}

/** Lines of `INSIDE OUTSIDE COUNT`. Pure. */
export function parseIdMap(text: string): Range[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([first = 0, , count = 0]) => ({ first, count }));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // A kernel without user namespaces.
    return '0 0 4294967295';
  }
}
