import type { ApiClient, ApiObject, Resource } from '../client/client.ts';
import { type Clock, systemClock } from '../clock.ts';
import { keyOf } from '../key.ts';
import type { Logger } from '../logger.ts';
import { runWatcher } from '../watcher/run.ts';
import type { WatcherEvent } from '../watcher/state.ts';
import { type Change, type IndexFunction, ObjectStore, type Store } from './object-store.ts';

export interface InformerOptions<T extends ApiObject> {
  client: ApiClient;
  resource: Resource<T>;
  /** Default: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  indexes?: Record<string, IndexFunction<T>>;
  clock?: Clock;
  logger?: Logger;
  onError?: (error: unknown, during: 'list' | 'watch') => void;
}

/** A cache of one kind that follows the API server, and tells of changes. */
export interface Informer<T extends ApiObject> {
  readonly resource: Resource<T>;
  readonly store: Store<T>;
  /** Whether a first list is complete. Before that the store is empty and says nothing. */
  readonly synced: boolean;
  /** Resolves when synced; rejects if the signal is aborted first. */
  whenSynced(signal?: AbortSignal): Promise<void>;
  /**
   * Calls the listener for each change, and at once for each object that is known already. Listeners must be quick and must not throw;
   * returns a function that ends the subscription.
   */
  onChange(listener: (change: Change<T>) => void): () => void;
  /** Calls the listener whenever a list or a watch failed: from then on until the next change the cache may be old. */
  onFailure(listener: () => void): () => void;
  /** Runs until the signal is aborted. */
  start(signal: AbortSignal): Promise<void>;
}

/** Nothing is read before `start`. */
export function createInformer<T extends ApiObject>(options: InformerOptions<T>): Informer<T> {
  const store = new ObjectStore<T>();
  for (const [name, values] of Object.entries(options.indexes ?? {})) store.addIndex(name, values);
  const listeners = new Set<(change: Change<T>) => void>();
  const failureListeners = new Set<() => void>();
  const synced = Promise.withResolvers<void>();
  let isSynced = false;
  const logger = options.logger?.child({ resource: options.resource.plural });

  const onEvent = (event: WatcherEvent<T>) => {
    const changes = store.handle(event);
    if (event.kind === 'initDone' && !isSynced) {
      isSynced = true;
      synced.resolve();
    }
    for (const change of changes) {
      for (const listener of listeners) {
        try {
          listener(change);
        } catch (err) {
          logger?.error({ err }, 'Listener of a cache threw');
        }
      }
    }
  };
  const onError = (err: unknown, during: 'list' | 'watch') => {
    options.onError?.(err, during);
    for (const listener of failureListeners) listener();
    logger?.warn({ err, op: during }, 'Could not follow the API server, trying again');
  };

  return {
    resource: options.resource,
    store,
    get synced() {
      return isSynced;
    },
    whenSynced(signal) {
      if (isSynced || !signal) return synced.promise;
      return Promise.race([synced.promise, aborted(signal)]);
    },
    onChange(listener) {
      for (const object of store.values()) listener({ key: keyOf(object), new: object });
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onFailure(listener) {
      failureListeners.add(listener);
      return () => failureListeners.delete(listener);
    },
    start(signal) {
      const { client, resource, namespace, labelSelector, fieldSelector, clock = systemClock } = options;
      return runWatcher({ client, resource, namespace, labelSelector, fieldSelector, clock, onEvent, onError }, signal);
    },
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
