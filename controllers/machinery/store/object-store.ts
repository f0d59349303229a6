import type { ApiObject, ObjectKey } from '../client/client.ts';
import { keyOf, keyText } from '../key.ts';
import type { WatcherEvent } from '../watcher/state.ts';
import { deepFreeze } from './deep-freeze.ts';

/** Freezing costs more than keeping: only tests pay for it. */
const isTest = process.env.NODE_ENV === 'test';

/** What reconcilers may do with the cache: read. Objects are shared: never change one, make a copy with `structuredClone`. */
export interface Store<T extends ApiObject> {
  readonly size: number;
  get(key: ObjectKey | string): T | undefined;
  values(): IterableIterator<T>;
  list(): T[];
  /** Objects for which the index function returned `value`. Throws for an index that was not added. */
  byIndex(index: string, value: string): T[];
  /** Adds an index (also later, for what is stored already). Adding the same name twice is an error unless the function is the same. */
  addIndex(index: string, values: IndexFunction<T>): void;
}

export type IndexFunction<T> = (object: T) => readonly string[];

/** Neither `old` nor `new` means nothing; both means changed; one of them means gone or new. */
export interface Change<T> {
  key: ObjectKey;
  old?: T;
  new?: T;
}

/** The objects of one watch. A new list replaces everything at once when it is complete, never page by page. */
export class ObjectStore<T extends ApiObject> implements Store<T> {
  #objects = new Map<string, T>();
  #incoming: Map<string, T> | undefined;
  readonly #indexes = new Map<string, { values: IndexFunction<T>; entries: Map<string, Set<string>> }>();

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey | string): T | undefined {
    return this.#objects.get(typeof key === 'string' ? key : keyText(key));
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  byIndex(index: string, value: string): T[] {
    const found = this.#indexes.get(index);
    if (!found) throw new Error(`there is no index "${index}"`);
    const keys = found.entries.get(value);
    return keys ? Array.from(keys, (key) => this.#objects.get(key)!) : [];
  }

  addIndex(index: string, values: IndexFunction<T>): void {
    const existing = this.#indexes.get(index);
    if (existing?.values === values) return;
    if (existing) throw new Error(`there is another index "${index}" already`);
    const added = { values, entries: new Map<string, Set<string>>() };
    this.#indexes.set(index, added);
    for (const [key, object] of this.#objects) enter(added.entries, values(object), key);
  }

  /** Takes one event of the watcher and says what changed. */
  handle(event: WatcherEvent<T>): Change<T>[] {
    switch (event.kind) {
      case 'init':
        this.#incoming = new Map();
        return [];
      case 'initApply':
        this.#incoming?.set(keyText(keyOf(event.object)), prepare(event.object));
        return [];
      case 'initDone':
        return this.#swap();
      case 'apply':
        return this.#put(keyText(keyOf(event.object)), prepare(event.object));
      case 'delete':
        return this.#remove(keyText(keyOf(event.object)), event.object);
    }
  }

  #swap(): Change<T>[] {
    const incoming = this.#incoming ?? new Map<string, T>();
    this.#incoming = undefined;
    const changes: Change<T>[] = [];
    for (const key of [...this.#objects.keys()]) if (!incoming.has(key)) changes.push(...this.#remove(key));
    for (const [key, object] of incoming) changes.push(...this.#put(key, object));
    return changes;
  }

  #put(key: string, object: T): Change<T>[] {
    const old = this.#objects.get(key);
    // A list after a reconnect brings mostly what is known.
    if (old && isSame(old, object)) return [];
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) {
      if (old) leave(index.entries, index.values(old), key);
      enter(index.entries, index.values(object), key);
    }
    return [{ key: keyOf(object), ...(old ? { old } : {}), new: object }];
  }

  #remove(key: string, last?: T): Change<T>[] {
    const old = this.#objects.get(key);
    if (!old) return [];
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) leave(index.entries, index.values(old), key);
    return [{ key: keyOf(old), old: last ? prepare(last) : old }];
  }
}

function isSame(one: ApiObject, other: ApiObject): boolean {
  return one.metadata?.resourceVersion === other.metadata?.resourceVersion && one.metadata?.uid === other.metadata?.uid;
}

/** managedFields is often the larger half of an object, and no controller reads it. */
function prepare<T extends ApiObject>(object: T): T {
  const metadata = object.metadata as Record<string, unknown> | undefined;
  if (metadata && 'managedFields' in metadata && !Object.isFrozen(metadata)) delete metadata.managedFields;
  return isTest ? deepFreeze(object) : object;
}

function enter(entries: Map<string, Set<string>>, values: readonly string[], key: string): void {
  for (const value of values) {
    const keys = entries.get(value);
    if (keys) keys.add(key);
    else entries.set(value, new Set([key]));
  }
}

function leave(entries: Map<string, Set<string>>, values: readonly string[], key: string): void {
  for (const value of values) {
    const keys = entries.get(value);
    keys?.delete(key);
    if (keys?.size === 0) entries.delete(value);
  }
}
