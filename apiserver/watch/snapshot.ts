import { ApiError, badRequest } from '../http/errors.ts';
import { lowerBound } from '../store/collection.ts';
import { type Entry, objectPath } from '../store/entry.ts';
import type { Store } from '../store/store.ts';
import { type Selection, selects } from './selection.ts';

/** Where a paged list goes on: after `path`, in the state of `revision`. */
export interface Position {
  revision: number;
  path: string;
}

export interface Page {
  entries: Entry[];
  /** The revision whose state this is. */
  revision: number;
  next?: Position;
  /** How many follow this page; known only without selectors. */
  remaining?: number;
}

/** Lists the state of one revision (the newest if absent), in path order, at most `limit` objects (0 = all). */
export function listPage(
  store: Store,
  selection: Selection,
  options: { revision?: number; after?: string; limit?: number },
): Page {
  const revision = options.revision ?? store.revision;
  const { at, paths } = stateAt(store, selection, revision);
  const limit = options.limit || Number.POSITIVE_INFINITY;
  const entries: Entry[] = [];
  let index = options.after === undefined ? 0 : firstAfter(paths, options.after);
  let last = '';
  for (; index < paths.length && entries.length < limit; index++) {
    last = paths[index]!;
    const entry = at(last);
    if (entry && selects(selection, entry)) entries.push(entry);
  }
  if (index >= paths.length) return { entries, revision };
  const rest = selection.matches || selection.name !== undefined ? {} : { remaining: paths.length - index };
  return { entries, revision, next: { revision, path: last }, ...rest };
}

interface State {
  paths: readonly string[];
  at: (path: string) => Entry | undefined;
}

function stateAt(store: Store, selection: Selection, revision: number): State {
  const collection = store.collection(selection.storage);
  if (revision >= store.revision)
    return { paths: collection.paths(selection.namespace), at: (path) => collection.at(path) };
  if (revision < store.history.horizon) throw new ApiError('Expired');
  return rewind(store, selection, revision);
}

/** Undoes everything after the revision: each entry knows the one before it as far back as the history reaches. */
function rewind(store: Store, selection: Selection, revision: number): State {
  const then = new Map<string, Entry>();
  for (const entry of store.collection(selection.storage).values(selection.namespace)) keep(then, entry, revision);
  for (const entry of store.history.after(revision)) {
    if (!entry.deleted || entry.storage !== selection.storage) continue;
    if (selection.namespace && entry.namespace !== selection.namespace) continue;
    keep(then, entry, revision);
  }
  return { paths: [...then.keys()].sort(), at: (path) => then.get(path) };
}

function keep(then: Map<string, Entry>, entry: Entry, revision: number): void {
  let version: Entry | undefined = entry;
  while (version && version.revision > revision) version = version.previous;
  if (version && !version.deleted) then.set(objectPath(version.namespace, version.name), version);
}

function firstAfter(paths: readonly string[], path: string): number {
  const index = lowerBound(paths, path);
  return paths[index] === path ? index + 1 : index;
}

/** An opaque continue token; in the form of the genuine server, but only its maker reads it. */
export function encodePosition(position: Position): string {
  const token = { v: 'meta.k8s.io/v1', rv: position.revision, start: position.path };
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

export function decodePosition(token: string): Position {
  try {
    const { rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString()) as Record<string, unknown>;
    if (typeof rv === 'number' && Number.isSafeInteger(rv) && typeof start === 'string')
      return { revision: rv, path: start };
  } catch {
    // Reported below.
  }
  throw badRequest('continue key is not valid: it does not come from this server');
}
