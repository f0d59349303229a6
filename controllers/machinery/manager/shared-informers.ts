import type { ApiClient, ApiObject, ListOptions, Resource } from '../client/client.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { createInformer, type Informer } from '../store/informer.ts';

type Selection = Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'>;

/** One cache and one watch per kind and selection, however many controllers use it. */
export class SharedInformers {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #informers = new Map<string, Informer<ApiObject>>();
  readonly #abort = new AbortController();
  readonly #running: Promise<void>[] = [];
  #fail: ((error: Error) => void) | undefined;

  constructor(client: ApiClient, clock: Clock, logger: Logger, metrics: Metrics) {
    this.#client = client;
    this.#clock = clock;
    this.#logger = logger;
    this.#metrics = metrics;
    metrics.onCollect(() => {
      for (const informer of this.#informers.values()) {
        metrics.cachedObjects.set({ resource: informer.resource.plural }, informer.store.size);
      }
    });
  }

  get<T extends ApiObject>(resource: Resource<T>, selection: Selection): Informer<T> {
    const { namespace, labelSelector, fieldSelector } = selection;
    const id = JSON.stringify([
      resource.group,
      resource.version,
      resource.plural,
      namespace,
      labelSelector,
      fieldSelector,
    ]);
    // The id contains the resource, so the type that was stored is the type that is asked for.
    const existing = this.#informers.get(id) as Informer<T> | undefined;
    if (existing) return existing;
    const informer = createInformer<T>({
      client: this.#client,
      clock: this.#clock,
      logger: this.#logger,
      resource,
      ...selection,
      onError: (_error, op) => this.#metrics.watchErrors.inc({ resource: resource.plural, op }),
    });
    this.#informers.set(id, informer as unknown as Informer<ApiObject>);
    if (this.#fail) this.#run(informer);
    return informer;
  }

  start(fail: (error: Error) => void): void {
    this.#fail = fail;
    for (const informer of this.#informers.values()) this.#run(informer);
  }

  async whenSynced(): Promise<void> {
    await Promise.all(Array.from(this.#informers.values(), (informer) => informer.whenSynced()));
  }

  assertSynced(): void {
    const waiting = [...this.#informers.values()]
      .filter((informer) => !informer.synced)
      .map((informer) => informer.resource.plural);
    if (waiting.length > 0) throw new Error(`not synced: ${waiting.join(', ')}`);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#running);
  }

  #run<T extends ApiObject>(informer: Informer<T>): void {
    this.#running.push(informer.start(this.#abort.signal).catch((error) => this.#fail?.(error)));
  }
}
