import type { Logger } from 'pino';
import { isCrdDefinition } from '../builtin/crd/types.ts';
import { ApiError } from '../http/errors.ts';
import type { KubernetesObject, ResourceRegistry } from '../resources/definition.ts';
import { type ObjectStorage, type StorageChange, storageKeyOf } from '../resources/storage.ts';
import { collectCrd } from './collect-crd.ts';
import { collectNamespace } from './collect-namespace.ts';
import { collectObject } from './collect-object.ts';
import { type CollectorContext, definitionOf, storedDefinitions } from './context.ts';
import { Expiry, expires, lastWriteOf } from './expiry.ts';
import { type ObjectKey, OwnerGraph, objectKey, splitKey } from './owner-graph.ts';
import { WorkQueue } from './work-queue.ts';

export interface GarbageCollectorOptions {
  storage: ObjectStorage;
  registry: ResourceRegistry;
  logger: Logger;
  now?: () => Date;
}

export interface GarbageCollector {
  /** Works until the signal aborts. Looks at everything once, then only at what changes. */
  start(signal: AbortSignal): void;
  /** Nothing is left to do now; for tests and metrics. */
  readonly idle: boolean;
}

const concurrency = 32;
const contentPauseMs = 50;
const namespacesKey = '/namespaces';
const crdsKey = 'apiextensions.k8s.io/customresourcedefinitions';

export function createGarbageCollector(options: GarbageCollectorOptions): GarbageCollector {
  let running: Running | undefined;
  return {
    start(signal) {
      running = new Running(options, signal);
      running.start(signal);
    },
    get idle() {
      return running?.idle ?? true;
    },
  };
}

class Running {
  readonly #context: CollectorContext;
  readonly #queue: WorkQueue;
  readonly #graph = new OwnerGraph();
  readonly #expiries = new Map<string, Expiry>();
  readonly #signal: AbortSignal;
  readonly #now: () => Date;
  /** Storage keys whose objects have been looked at. */
  readonly #known = new Set<string>();

  constructor({ storage, registry, logger, now = () => new Date() }: GarbageCollectorOptions, signal: AbortSignal) {
    this.#signal = signal;
    this.#now = now;
    this.#queue = new WorkQueue({
      work: (key) => this.#work(key),
      onError: (key, err, failures) => {
        // A lost race is the ordinary case and is simply tried again.
        if (err instanceof ApiError && err.code === 'Conflict') return;
        const level = failures < 5 ? 'debug' : 'warn';
        logger[level]({ ...splitKey(key), err, failures }, 'garbage collection of an object failed');
      },
      concurrency,
      signal,
    });
    this.#context = { storage, registry, graph: this.#graph, enqueue: (key) => this.#queue.add(key), now };
  }

  get idle(): boolean {
    return this.#queue.idle && this.#soon.size === 0;
  }

  start(signal: AbortSignal): void {
    const { storage, registry } = this.#context;
    const ends = [
      storage.onChange((change) => this.#changed(change)),
      registry.onChange(() => this.#registryChanged()),
    ];
    signal.addEventListener('abort', () => {
      for (const end of ends) end();
      for (const timer of this.#soon.values()) clearTimeout(timer);
    });
    this.#registryChanged();
  }

  /** Looks at all objects of kinds that are new here, and again at dependents whose owner's kind was unknown. */
  #registryChanged(): void {
    const { storage, registry } = this.#context;
    const fresh = storedDefinitions(registry).filter((definition) => !this.#known.has(storageKeyOf(definition)));
    if (fresh.length === 0) return;
    for (const key of this.#graph.dependents()) this.#queue.add(key);
    for (const definition of fresh) {
      const storageKey = storageKeyOf(definition);
      this.#known.add(storageKey);
      if (expires(definition)) {
        this.#expiries.set(storageKey, this.#newExpiry(definition.ttlSeconds * 1000));
      }
      const objects = storage.list(definition);
      const expiry = this.#expiries.get(storageKey);
      if (expiry) {
        const byTime = objects.map((object) => ({ object, at: lastWriteOf(object) })).sort((a, b) => a.at - b.at);
        for (const { object, at } of byTime) expiry.written(objectKey(storageKey, object), at);
      }
      for (const object of objects) this.#seen(storageKey, object);
    }
  }

  #newExpiry(ttlMs: number): Expiry {
    return new Expiry({
      ttlMs,
      expire: (key) => void this.#expire(key),
      now: () => this.#now().getTime(),
      signal: this.#signal,
    });
  }

  async #expire(key: ObjectKey): Promise<void> {
    const { storageKey, namespace, name } = splitKey(key);
    const definition = definitionOf(this.#context.registry, storageKey);
    const ref = namespace === undefined ? { name } : { namespace, name };
    // A failed deletion is tried again at the next start: an event too many does no harm.
    if (definition) await this.#context.storage.delete(definition, ref).catch(() => undefined);
  }

  #changed({ type, storageKey, object, previous }: StorageChange): void {
    const key = objectKey(storageKey, object);
    const expiry = this.#expiries.get(storageKey);
    if (type !== 'DELETED') {
      expiry?.written(key, this.#now().getTime());
      // Most writes (status, heartbeats) change nothing that matters here.
      if (previous && !matters(object, previous)) return;
      this.#seen(storageKey, object);
      // A dependent that no longer blocks, or no longer depends, may have been the last one.
      for (const owner of previous?.metadata.ownerReferences ?? []) this.#lookAtWaiting(owner.uid);
      return;
    }
    expiry?.gone(key);
    for (const owner of object.metadata.ownerReferences ?? []) this.#lookAtWaiting(owner.uid);
    this.#graph.remove(key);
    this.#waitingOwners.delete(object.metadata.uid ?? '');
    for (const dependent of this.#graph.dependentsOf(object.metadata.uid)) this.#queue.add(dependent);
    this.#containerLostContent(storageKey, object);
  }

  #seen(storageKey: string, object: KubernetesObject): void {
    const key = objectKey(storageKey, object);
    this.#graph.put(key, object);
    const { metadata } = object;
    if (metadata.deletionTimestamp !== undefined) {
      if (metadata.uid && metadata.finalizers?.includes('foregroundDeletion'))
        this.#waitingOwners.set(metadata.uid, key);
      if (storageKey === namespacesKey || storageKey === crdsKey) this.#terminating.add(key);
      this.#queue.add(key);
    } else if (metadata.ownerReferences?.length) {
      this.#queue.add(key);
    }
  }

  /** Owners in foreground deletion, by uid. */
  readonly #waitingOwners = new Map<string, ObjectKey>();
  /** Namespaces and CRDs that are being emptied. */
  readonly #terminating = new Set<ObjectKey>();
  readonly #soon = new Map<ObjectKey, NodeJS.Timeout>();

  #lookAtWaiting(uid: string): void {
    const key = this.#waitingOwners.get(uid);
    if (key) this.#queue.add(key);
  }

  #containerLostContent(storageKey: string, object: KubernetesObject): void {
    this.#terminating.delete(objectKey(storageKey, object));
    if (this.#terminating.size === 0) return;
    const namespace = `${namespacesKey}\n\n${object.metadata.namespace ?? ''}`;
    if (this.#terminating.has(namespace)) this.#lookAgainSoon(namespace);
    const [group, plural] = storageKey.split('/');
    const crd = `${crdsKey}\n\n${plural}.${group}`;
    if (this.#terminating.has(crd)) this.#lookAgainSoon(crd);
  }

  /** Each look reads all that is left, so the deletions of a moment share one. */
  #lookAgainSoon(key: ObjectKey): void {
    if (this.#soon.has(key)) return;
    const timer = setTimeout(() => {
      this.#soon.delete(key);
      this.#queue.add(key);
    }, contentPauseMs);
    this.#soon.set(key, timer);
  }

  async #work(key: ObjectKey): Promise<void> {
    const { storageKey, name } = splitKey(key);
    await collectObject(this.#context, key);
    if (!this.#terminating.has(key)) return;
    const definition = definitionOf(this.#context.registry, storageKey);
    if (!definition) return;
    if (isCrdDefinition(definition)) await collectCrd(this.#context, definition, name);
    else await collectNamespace(this.#context, definition, name);
  }
}

function matters(object: KubernetesObject, previous: KubernetesObject): boolean {
  const [now, before] = [object.metadata, previous.metadata];
  return (
    now.deletionTimestamp !== before.deletionTimestamp ||
    now.finalizers?.join() !== before.finalizers?.join() ||
    JSON.stringify(now.ownerReferences) !== JSON.stringify(before.ownerReferences)
  );
}
