import type { ApiObject } from '../machinery/client/client.ts';
import { keyOf, keyText } from '../machinery/key.ts';
import type { Informer } from '../machinery/store/informer.ts';
import type { Change } from '../machinery/store/object-store.ts';

/** A write that the cache still does not show after this long was undone meanwhile. */
const FORGET_AFTER_MS = 30_000;

/**
 * What this process wrote and its cache does not show yet. A plan made from a cache that is a moment old would ask for the same again; with
 * this it starts from what is known to be there.
 */
export class RecentWrites<T extends ApiObject> {
  readonly #written = new Map<string, { object: T; atMs: number }>();
  readonly #deleted = new Map<string, { uid: string; atMs: number }>();
  readonly #now: () => number;

  constructor(informer: Informer<T>, now: () => number) {
    this.#now = now;
    informer.onChange((change) => this.#onChange(change));
  }

  /** Remembers what the server returned for a write. */
  wrote(object: T): void {
    this.#written.set(keyText(keyOf(object)), { object, atMs: this.#now() });
  }

  /** Remembers that the server accepted a deletion. */
  deleted(object: T): void {
    this.#deleted.set(keyText(keyOf(object)), { uid: object.metadata?.uid ?? '', atMs: this.#now() });
  }

  /** The newer of what the cache has and what was written; being deleted if that was asked for. */
  newest(key: string, cached: T | undefined): T | undefined {
    const written = this.#fresh(this.#written, key)?.object;
    const object = written && (!cached || isNewer(written, cached)) ? written : cached;
    const deleted = this.#fresh(this.#deleted, key);
    if (!object || deleted?.uid !== object.metadata?.uid || object.metadata?.deletionTimestamp) return object;
    const deletionTimestamp = new Date(deleted?.atMs ?? 0).toISOString();
    return { ...object, metadata: { ...object.metadata, deletionTimestamp } };
  }

  /** What the cache has, in its newest form, and what was written and is not there yet. */
  overlay(cached: readonly T[], belongs: (object: T) => boolean): T[] {
    const result: T[] = [];
    const seen = new Set<string>();
    const add = (key: string, object: T | undefined) => {
      seen.add(key);
      const newest = this.newest(key, object);
      if (newest) result.push(newest);
    };
    for (const object of cached) add(keyText(keyOf(object)), object);
    for (const [key, { object }] of this.#written) if (!seen.has(key) && belongs(object)) add(key, undefined);
    return result;
  }

  #fresh<V extends { atMs: number }>(map: Map<string, V>, key: string): V | undefined {
    const entry = map.get(key);
    if (!entry) return undefined;
    if (this.#now() - entry.atMs < FORGET_AFTER_MS) return entry;
    map.delete(key);
    return undefined;
  }

  #onChange(change: Change<T>): void {
    const key = keyText(change.key);
    const written = this.#written.get(key);
    if (written) {
      const { object } = written;
      const gone = !change.new && change.old?.metadata?.uid === object.metadata?.uid;
      if (gone || (change.new && !isNewer(object, change.new))) this.#written.delete(key);
    }
    if (!change.new || change.new.metadata?.deletionTimestamp) this.#deleted.delete(key);
  }
}

/** Resource versions of one kind can be compared as numbers; a server where they cannot is believed to be ahead of us. */
function isNewer(one: ApiObject, other: ApiObject): boolean {
  const [a, b] = [one, other].map((object) => object.metadata?.resourceVersion ?? '');
  if (!/^\d+$/.test(a!) || !/^\d+$/.test(b!)) return false;
  return BigInt(a!) > BigInt(b!);
}
