import type { KubernetesObject } from '../resources/definition.ts';
import type { Entry } from '../store/entry.ts';

/** Which objects of one storage key a list or a watch is about. */
export interface Selection {
  storage: string;
  /** Absent: all namespaces. */
  namespace?: string;
  /** Set by a field selector on metadata.name: most watches of one object are cheap then. */
  name?: string;
  /** Label and field selectors; absent: everything. */
  matches?: (object: KubernetesObject) => boolean;
}

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** What one watcher is told. */
export interface SelectedEvent {
  type: EventType;
  entry: Entry;
  /** The object ceased to match, so the watcher gets its last matching state (with the revision of the change). */
  left: boolean;
}

export function selects(selection: Selection, entry: Entry): boolean {
  if (selection.namespace && entry.namespace !== selection.namespace) return false;
  if (selection.name !== undefined && entry.name !== selection.name) return false;
  return selection.matches === undefined || selection.matches(entry.object);
}

/** The event of a change as this watcher sees it: an object that begins to match is ADDED, one that ceases to match is DELETED. */
export function eventFor(selection: Selection, entry: Entry): SelectedEvent | undefined {
  if (selection.namespace && entry.namespace !== selection.namespace) return undefined;
  if (selection.name !== undefined && entry.name !== selection.name) return undefined;
  if (selection.matches === undefined) return { type: entry.type, entry, left: false };
  const before = entry.previous !== undefined && selection.matches(entry.previous.object);
  const now = selection.matches(entry.object);
  if (entry.deleted) return before || now ? { type: 'DELETED', entry, left: false } : undefined;
  if (now) return { type: before ? 'MODIFIED' : 'ADDED', entry, left: false };
  return before ? { type: 'DELETED', entry, left: true } : undefined;
}
