import type { Entry } from '../store/entry.ts';
import { EncodedEvents } from './representation.ts';

/** Takes the entries of one transaction that belong to its storage key, in revision order. */
export type HubListener = (entries: Entry[], encoded: EncodedEvents) => void;

/** Spreads committed entries to the watchers of each storage key. */
export class WatchHub {
  readonly #listeners = new Map<string, Set<HubListener>>();

  /** How many watchers there are now. */
  get size(): number {
    let size = 0;
    for (const listeners of this.#listeners.values()) size += listeners.size;
    return size;
  }

  /** Feed it from `store.onCommit`. */
  publish(entries: Entry[]): void {
    for (const [storage, ofStorage] of Map.groupBy(entries, (entry) => entry.storage)) {
      const listeners = this.#listeners.get(storage);
      if (listeners === undefined) continue;
      const encoded = new EncodedEvents();
      for (const listener of [...listeners]) listener(ofStorage, encoded);
    }
  }

  subscribe(storage: string, listener: HubListener): () => void {
    let listeners = this.#listeners.get(storage);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(storage, listeners);
    }
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(storage) === listeners) this.#listeners.delete(storage);
    };
  }
}
