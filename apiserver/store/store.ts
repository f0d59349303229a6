import { ApiError } from '../http/errors.ts';
import type { KubernetesObject } from '../resources/definition.ts';
import { Collection } from './collection.ts';
import { deepFreeze, Entry, type EntryKey, encode, objectPath } from './entry.ts';
import { defaultHistoryLimits, type History, type HistoryLimits } from './history.ts';
import { type LoadedState, Loader } from './loader.ts';
import { CommitFailed, type Log, openLog } from './log.ts';
import { type LogRecord, recordKinds } from './record.ts';

export interface StoreOptions {
  /** The database file. */
  path: string;
  history?: Partial<HistoryLimits>;
  now?: () => number;
  /** Told of every transaction, for metrics. */
  onTransaction?: (transaction: { records: number; durationMs: number; failed: boolean }) => void;
  /** See LogThreadSettings. */
  maxPages?: number;
}

interface QueuedWrite {
  entry: Entry;
  text: string;
  resolve: (entry: Entry) => void;
  reject: (error: ApiError) => void;
}

/** One transaction takes at most this much, so that the first writer in it does not wait for the thousandth. */
const maxBatchRecords = 512;
const maxBatchBytes = 8 * 1024 * 1024;

/** Opens the store: reads all rows into memory, then writes go to the log and reads come from memory only. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const loader = new Loader();
  const { log, compactedRevision } = await openLog({ path: options.path, maxPages: options.maxPages ?? 0 }, (rows) =>
    loader.add(rows),
  );
  return new Store(log, loader.finish(compactedRevision, { ...defaultHistoryLimits, ...options.history }), options);
}

/**
 * All objects, with a revision per write.
 *
 * Guarantees: `put` and `remove` take their place in the order of revisions at once (`head` sees it) and resolve after fsync;
 * `get`, `collection` and `history` show durable entries only; committed entries are announced in revision order.
 * Assumption: the caller reads `head` and writes in one synchronous step; that is all the locking there is.
 */
export class Store {
  readonly #log: Log;
  readonly #collections: Map<string, Collection>;
  readonly #options: StoreOptions;
  readonly #now: () => number;
  /** Only of objects whose newest version is not durable yet. */
  readonly #heads = new Map<string, { entry: Entry; written: Promise<Entry> }>();
  readonly #listeners = new Set<(entries: Entry[]) => void>();
  readonly history: History;
  #queue: QueuedWrite[] = [];
  /** Rows that a failed transaction should have deleted. */
  #obsolete: number[];
  #lastRevision: number;
  #committedRevision: number;
  #writing = false;
  #failure: CommitFailed | undefined;
  #idle: (() => void)[] = [];

  constructor(log: Log, loaded: LoadedState, options: StoreOptions) {
    this.#log = log;
    this.#collections = loaded.collections;
    this.history = loaded.history;
    this.#obsolete = loaded.obsolete;
    this.#lastRevision = loaded.revision;
    this.#committedRevision = loaded.revision;
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** The newest durable revision. */
  get revision(): number {
    return this.#committedRevision;
  }

  /** Why the last transaction failed; undefined after a success. */
  get failure(): CommitFailed | undefined {
    return this.#failure;
  }

  storageKeys(): string[] {
    return [...this.#collections.keys()];
  }

  /** The committed objects of one storage key. */
  collection(storage: string): Collection {
    let collection = this.#collections.get(storage);
    if (collection === undefined) {
      collection = new Collection();
      this.#collections.set(storage, collection);
    }
    return collection;
  }

  get(key: EntryKey): Entry | undefined {
    return this.collection(key.storage).get(key.namespace, key.name);
  }

  /** The newest version, also one that is not durable yet: what a write must be checked against. */
  head(key: EntryKey): Entry | undefined {
    const pending = this.#heads.get(headPath(key))?.entry;
    if (pending !== undefined) return pending.deleted ? undefined : pending;
    return this.get(key);
  }

  /** Resolves when what `head` shows now is durable, rejects when it could not be written; undefined if it is durable already. */
  pending(key: EntryKey): Promise<Entry> | undefined {
    return this.#heads.get(headPath(key))?.written;
  }

  /** Stores the object (which the store then owns and freezes) under the next revision. */
  put(key: EntryKey, object: KubernetesObject): Promise<Entry> {
    return this.#write(key, object, false);
  }

  /** Deletes; `object` is the last state that watchers see. */
  remove(key: EntryKey, object: KubernetesObject): Promise<Entry> {
    return this.#write(key, object, true);
  }

  /** Called with the entries of each transaction once they are durable. */
  onCommit(listener: (entries: Entry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Waits for what is queued, then closes the file. */
  async close(): Promise<void> {
    if (this.#writing) await new Promise<void>((resolve) => this.#idle.push(resolve));
    await this.#log.close();
  }

  #write(key: EntryKey, object: KubernetesObject, deleted: boolean): Promise<Entry> {
    const previous = this.head(key);
    const revision = ++this.#lastRevision;
    object.metadata.resourceVersion = String(revision);
    const text = JSON.stringify(object);
    const version = { revision, deleted, timeMs: this.#now(), encoded: encode(text), object: deepFreeze(object) };
    const entry = new Entry(key, previous ? { ...version, previous } : version);
    const written = new Promise<Entry>((resolve, reject) => {
      this.#queue.push({ entry, text, resolve, reject });
      if (!this.#writing) {
        this.#writing = true;
        // After this turn of the event loop: requests that arrived together share the first transaction too.
        setImmediate(() => void this.#drain());
      }
    });
    this.#heads.set(headPath(key), { entry, written });
    return written;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) await this.#commitNext();
    this.#writing = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #commitNext(): Promise<void> {
    const batch = takeBatch(this.#queue);
    const obsolete = [...this.#obsolete, ...this.history.compact(this.#now(), batch.length)];
    this.#obsolete = [];
    const start = performance.now();
    const report = (failed: boolean) =>
      this.#options.onTransaction?.({ records: batch.length, durationMs: performance.now() - start, failed });
    try {
      await this.#log.commit({
        records: batch.map(recordOf),
        obsolete,
        compactedRevision: this.history.horizon,
      });
    } catch (error) {
      this.#obsolete = obsolete;
      this.#failAll(batch, error instanceof CommitFailed ? error : new CommitFailed(false, String(error)));
      report(true);
      return;
    }
    this.#failure = undefined;
    this.#publish(batch);
    report(false);
  }

  #publish(batch: QueuedWrite[]): void {
    const entries = batch.map((write) => write.entry);
    for (const entry of entries) {
      this.collection(entry.storage).apply(entry);
      this.history.push(entry);
      const path = headPath(entry);
      if (this.#heads.get(path)?.entry === entry) this.#heads.delete(path);
    }
    this.#committedRevision = entries[entries.length - 1]!.revision;
    for (const listener of this.#listeners) listener(entries);
    for (const { previous } of entries) previous?.forgetObject();
    for (const write of batch) write.resolve(write.entry);
  }

  /** What is queued behind a failed transaction was checked against entries that do not exist: it fails with it. */
  #failAll(batch: QueuedWrite[], failure: CommitFailed): void {
    this.#failure = failure;
    const failed = [...batch, ...this.#queue];
    this.#queue = [];
    this.#heads.clear();
    for (const write of failed) {
      write.reject(
        failure.diskFull
          ? new ApiError('StorageFull', undefined, undefined, { cause: failure })
          : new ApiError('StorageFailed', undefined, undefined, { cause: failure }),
      );
    }
  }
}

function headPath(key: EntryKey): string {
  return `${key.storage} ${objectPath(key.namespace, key.name)}`;
}

function takeBatch(queue: QueuedWrite[]): QueuedWrite[] {
  let count = 0;
  let bytes = 0;
  while (count < queue.length && count < maxBatchRecords && (count === 0 || bytes < maxBatchBytes)) {
    bytes += queue[count]!.text.length;
    count += 1;
  }
  return queue.splice(0, count);
}

function recordOf({ entry, text }: QueuedWrite): LogRecord {
  return {
    revision: entry.revision,
    kind: entry.deleted ? recordKinds.delete : recordKinds.put,
    storage: entry.storage,
    namespace: entry.namespace,
    name: entry.name,
    timeMs: entry.timeMs,
    value: text,
  };
}
