import { Collection } from './collection.ts';
import { Entry, encode, objectPath } from './entry.ts';
import { History, type HistoryLimits } from './history.ts';
import { type LogRecord, recordKinds } from './record.ts';

export interface LoadedState {
  collections: Map<string, Collection>;
  history: History;
  revision: number;
  /** Rows below the horizon that are no longer needed. */
  obsolete: number[];
}

/** Rebuilds the state in memory from the rows of the log, which come in revision order. */
export class Loader {
  readonly #collections = new Map<string, Collection>();
  /** With tombstones, which collections do not hold. */
  readonly #latest = new Map<string, Entry>();
  readonly #entries: Entry[] = [];

  add(rows: LogRecord[]): void {
    for (const row of rows) {
      const path = `${row.storage} ${objectPath(row.namespace, row.name)}`;
      const before = this.#latest.get(path);
      const entry = new Entry(row, {
        revision: row.revision,
        deleted: row.kind === recordKinds.delete,
        timeMs: row.timeMs,
        encoded: encode(row.value),
        ...(before && !before.deleted && { previous: before }),
      });
      this.#latest.set(path, entry);
      this.#entries.push(entry);
      let collection = this.#collections.get(row.storage);
      if (collection === undefined) {
        collection = new Collection();
        this.#collections.set(row.storage, collection);
      }
      collection.apply(entry, true);
    }
  }

  finish(compactedRevision: number, limits: HistoryLimits): LoadedState {
    const history = new History(limits, compactedRevision);
    const obsolete: number[] = [];
    for (const entry of this.#entries) {
      if (entry.revision > compactedRevision) {
        history.push(entry);
        continue;
      }
      if (entry.previous) obsolete.push(entry.previous.revision);
      if (entry.deleted) obsolete.push(entry.revision);
      entry.previous = undefined;
    }
    const revision = Math.max(compactedRevision, this.#entries.at(-1)?.revision ?? 0);
    return { collections: this.#collections, history, revision, obsolete };
  }
}
