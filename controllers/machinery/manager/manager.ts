import type { ApiClient, ApiObject, ListOptions, Resource } from '../client/client.ts';
import { type Clock, systemClock } from '../clock.ts';
import { ControllerBuilder } from '../controller/builder.ts';
import { Controller } from '../controller/controller.ts';
import { createEventRecorder, type EventRecorder } from '../events/recorder.ts';
import { type HealthCheck, startHealthServer } from '../http/health-server.ts';
import type { Logger } from '../logger.ts';
import { Metrics } from '../metrics/metrics.ts';
import type { Informer } from '../store/informer.ts';
import { createLeaderElection, type LeaderElection, type LeaderElectionOptions } from './leader-election.ts';
import { RunnableGroup } from './runnable-group.ts';
import { SharedInformers } from './shared-informers.ts';

export interface ManagerOptions {
  client: ApiClient;
  logger: Logger;
  clock?: Clock;
  /** Default: a new set. */
  metrics?: Metrics;
  /** Without it the controllers start at once: right where only one process can be (the embedded server). */
  leaderElection?: LeaderElectionOptions;
  /** Where /healthz, /readyz and /metrics are served. Default: nowhere. */
  http?: { host?: string; port: number };
  /** How long everything together may take to stop. Default: 30000. */
  gracePeriodMs?: number;
  /** Name of this process in Events, for example its host name. */
  instance?: string;
}

export interface Runnable {
  name: string;
  /** Runs until the signal is aborted. A rejection stops the whole manager. */
  start(signal: AbortSignal): Promise<void>;
}

/** Holds what controllers share (caches, events, metrics) and starts and stops everything in order. */
export class Manager {
  readonly client: ApiClient;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly healthChecks = new Map<string, HealthCheck>([['ping', () => {}]]);
  readonly readyChecks = new Map<string, HealthCheck>();
  /** Resolves when the controllers run (with leader election: when this process has become leader). */
  readonly ready: Promise<void>;
  /** Base URL of the health server, once it listens. */
  httpAddress: string | undefined;

  readonly #options: ManagerOptions;
  readonly #informers: SharedInformers;
  readonly #controllers: RunnableGroup;
  readonly #recorders: EventRecorder[] = [];
  readonly #ready = Promise.withResolvers<void>();
  #isStarted = false;

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.client = options.client;
    this.logger = options.logger;
    this.clock = options.clock ?? systemClock;
    this.metrics = options.metrics ?? new Metrics();
    this.client.onRequest(this.metrics.onRequest);
    this.ready = this.#ready.promise;
    this.#informers = new SharedInformers(this.client, this.clock, this.logger, this.metrics);
    this.#controllers = new RunnableGroup('controllers', this.logger);
    this.readyChecks.set('caches', () => this.#informers.assertSynced());
  }

  /** Begins the sentence that registers a controller. */
  controller(name: string): ControllerBuilder {
    return new ControllerBuilder(
      {
        informer: (resource) => this.informer(resource),
        addController: (controllerName, resource, reconciler, controllerOptions) => {
          const { clock, logger, metrics } = this;
          const controller = new Controller(
            { name: controllerName, resource, reconciler, clock, logger, metrics },
            controllerOptions,
          );
          this.add(controller);
          return controller;
        },
      },
      name,
    );
  }

  /** The cache of a kind; all callers with the same selection get the same one. */
  informer<T extends ApiObject>(
    resource: Resource<T>,
    selection: Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'> = {},
  ): Informer<T> {
    return this.#informers.get(resource, selection);
  }

  /** Writes Events in the name of one controller. */
  events(component: string): EventRecorder {
    const { client, clock, logger } = this;
    const recorder = createEventRecorder({ client, clock, logger, component, instance: this.#options.instance });
    this.#recorders.push(recorder);
    return recorder;
  }

  /** Something more that runs with the controllers (and only as leader). */
  add(runnable: Runnable): void {
    if (this.#isStarted) throw new Error(`${runnable.name} was added after the manager started`);
    this.#controllers.add(runnable);
  }

  /** Runs until the signal is aborted or something fails; rejects in the latter case, after everything was stopped. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#isStarted) throw new Error('a manager runs once');
    this.#isStarted = true;
    this.#ready.promise.catch(() => {});
    // What was started, to be stopped in reverse order.
    const stops: { name: string; stop: () => Promise<void> }[] = [];
    const failure = Promise.withResolvers<never>();
    failure.promise.catch(() => {});
    const stopping = new AbortController();
    const abort = () => stopping.abort(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    const ended = new Promise<void>((resolve) => {
      if (stopping.signal.aborted) resolve();
      stopping.signal.addEventListener('abort', () => resolve(), { once: true });
    });

    try {
      await this.#startHttp(stops);
      this.#informers.start(failure.reject);
      stops.push({ name: 'caches', stop: () => this.#informers.stop() });
      await Promise.race([this.#informers.whenSynced(), ended, failure.promise]);
      const election = stopping.signal.aborted ? undefined : await this.#lead(stopping.signal, stops, failure.reject);
      if (!stopping.signal.aborted && election !== 'stopped') {
        this.#controllers.start(failure.reject);
        stops.push({ name: 'controllers', stop: () => this.#controllers.stop() });
        stops.push({ name: 'events', stop: () => this.#flushEvents() });
        this.#ready.resolve();
      }
      await Promise.race([ended, failure.promise]);
    } finally {
      this.#ready.reject(new Error('the manager was stopped before it had started'));
      signal.removeEventListener('abort', abort);
      stopping.abort();
      this.readyChecks.set('shutdown', () => {
        throw new Error('stopping');
      });
      await this.#stop(stops);
    }
  }

  async #startHttp(stops: { name: string; stop: () => Promise<void> }[]): Promise<void> {
    const { http } = this.#options;
    if (!http) return;
    const { healthChecks, readyChecks } = this;
    const server = await startHealthServer({ ...http, healthChecks, readyChecks, metrics: () => this.metrics.text() });
    this.httpAddress = server.address;
    this.logger.info({ address: server.address }, 'Serving health checks and metrics');
    stops.push({ name: 'http', stop: () => server.close() });
  }

  async #lead(
    signal: AbortSignal,
    stops: { name: string; stop: () => Promise<void> }[],
    fail: (error: Error) => void,
  ): Promise<LeaderElection | 'stopped' | undefined> {
    const options = this.#options.leaderElection;
    if (!options) return undefined;
    const name = options.lease.name;
    const election = createLeaderElection(this.client, this.clock, this.logger, options);
    this.metrics.isLeader.set({ name }, 0);
    if (!(await election.acquire(signal))) return 'stopped';
    this.metrics.isLeader.set({ name }, 1);
    const holding = new AbortController();
    const held = election.hold(holding.signal).catch((error) => {
      this.metrics.isLeader.set({ name }, 0);
      fail(error);
    });
    stops.push({
      name: 'leader election',
      stop: async () => {
        holding.abort();
        await held;
        this.metrics.isLeader.set({ name }, 0);
        await election.release();
      },
    });
    return election;
  }

  async #stop(stops: { name: string; stop: () => Promise<void> }[]): Promise<void> {
    const grace = this.#options.gracePeriodMs ?? 30_000;
    const expired = Promise.withResolvers<'expired'>();
    const timer = setTimeout(() => expired.resolve('expired'), grace);
    try {
      for (const { name, stop } of stops.reverse()) {
        const result = await Promise.race([
          stop().catch((err) => this.logger.error({ err, name }, 'Could not stop')),
          expired.promise,
        ]);
        if (result === 'expired')
          this.logger.error({ name, durationMs: grace }, 'Did not stop within the grace period');
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #flushEvents(): Promise<void> {
    await Promise.all(this.#recorders.map((recorder) => recorder.flush()));
  }
}
