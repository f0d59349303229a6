import { randomUUID } from 'node:crypto';
import type { ApiObject, ObjectKey, Resource } from '../client/client.ts';
import { isConflict } from '../client/errors.ts';
import type { Clock } from '../clock.ts';
import { keyText, parseKey } from '../key.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { observeQueue } from '../metrics/queue-metrics.ts';
import { failed, type Outcome, TerminalError } from '../outcome.ts';
import type { RetryDelayOptions } from '../queue/rate-limit.ts';
import { WorkQueue } from '../queue/work-queue.ts';
import type { Reconciler } from './reconciler.ts';

export interface ControllerOptions extends RetryDelayOptions {
  /** Keys worked on at a time. Default: 1. */
  concurrency?: number;
  /** After this the reconciler's signal is aborted. Default: 60000. */
  timeoutMs?: number;
}

export interface ControllerParts {
  name: string;
  resource: Resource<ApiObject>;
  reconciler: Reconciler;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
}

/** Takes keys from a queue, calls the reconciler, and decides in one place what its outcome means. */
export class Controller {
  readonly name: string;
  readonly #parts: ControllerParts;
  readonly #queue: WorkQueue;
  readonly #concurrency: number;
  readonly #timeoutMs: number;

  constructor(parts: ControllerParts, options: ControllerOptions = {}) {
    const { name, metrics, resource } = parts;
    this.name = name;
    this.#parts = {
      ...parts,
      logger: parts.logger.child({ controller: name, controllerGroup: resource.group, controllerKind: resource.kind }),
    };
    this.#concurrency = options.concurrency ?? 1;
    this.#timeoutMs = options.timeoutMs ?? 60_000;
    this.#queue = new WorkQueue({ ...options, clock: parts.clock, observer: observeQueue(metrics, name) });
    this.#initialiseMetrics();
  }

  enqueue(key: ObjectKey): void {
    this.#queue.add(keyText(key));
  }

  /** Works until the signal is aborted, then lets running reconciles end. */
  async start(signal: AbortSignal): Promise<void> {
    const stop = () => this.#queue.shutDown();
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    this.#parts.logger.debug({ count: this.#concurrency }, 'Controller started');
    await Promise.all(Array.from({ length: this.#concurrency }, () => this.#work(signal)));
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (let key = await this.#queue.take(); key !== undefined; key = await this.#queue.take()) {
      this.#parts.metrics.activeWorkers.inc({ controller: this.name });
      try {
        await this.#reconcile(key, signal);
      } finally {
        this.#queue.done(key);
        this.#parts.metrics.activeWorkers.dec({ controller: this.name });
      }
    }
  }

  async #reconcile(key: string, stopping: AbortSignal): Promise<void> {
    const { metrics, clock } = this.#parts;
    const request = parseKey(key);
    const logger = this.#parts.logger.child({ ...request, reconcileID: randomUUID() });
    const start = clock.monotonic();
    const overtime = new AbortController();
    const cancel = clock.schedule(this.#timeoutMs, () => {
      metrics.timeouts.inc({ controller: this.name });
      overtime.abort(new Error(`reconcile took longer than ${this.#timeoutMs} ms`));
    });
    let outcome: Outcome;
    try {
      outcome = await this.#parts.reconciler(request, { logger, signal: AbortSignal.any([stopping, overtime.signal]) });
    } catch (error) {
      outcome = failed(error);
    } finally {
      cancel();
    }
    const durationMs = clock.monotonic() - start;
    metrics.reconcileTime.observe({ controller: this.name }, durationMs / 1000);
    if (!stopping.aborted || outcome.kind !== 'error') this.#decide(key, outcome, logger, durationMs);
  }

  /** The only place that says what an outcome does to the queue, the metrics and the log. */
  #decide(key: string, outcome: Outcome, logger: Logger, durationMs: number): void {
    const { metrics } = this.#parts;
    const count = (result: string) => metrics.reconcileTotal.inc({ controller: this.name, result });
    switch (outcome.kind) {
      case 'done':
        this.#queue.forget(key);
        count('success');
        logger.debug({ durationMs }, 'Reconciled');
        return;
      case 'requeueAfter':
        this.#queue.forget(key);
        this.#queue.addAfter(key, outcome.ms);
        count('requeue_after');
        logger.debug({ durationMs, requeueAfterMs: outcome.ms }, 'Reconciled');
        return;
      case 'error': {
        const err = outcome.error;
        if (err instanceof TerminalError) {
          this.#queue.forget(key);
          metrics.terminalErrors.inc({ controller: this.name });
        } else if (isConflict(err)) {
          // Our copy was old. The newer one is on its way and will be reconciled in its own right: nothing went wrong.
          const requeueAfterMs = this.#queue.addRateLimited(key);
          count('requeue');
          logger.debug({ durationMs, requeueAfterMs }, 'Reconciled an old copy');
          return;
        } else {
          const requeueAfterMs = this.#queue.addRateLimited(key);
          if (isProgrammingError(err)) metrics.panics.inc({ controller: this.name });
          logger.error({ err, durationMs, requeueAfterMs }, 'Reconcile failed, trying again');
        }
        if (err instanceof TerminalError) logger.error({ err, durationMs }, 'Reconcile failed for good');
        metrics.reconcileErrors.inc({ controller: this.name });
        count('error');
      }
    }
  }

  /** Every label value exists from the start, so that rates of the first error are right. */
  #initialiseMetrics(): void {
    const { metrics } = this.#parts;
    const controller = this.name;
    for (const result of ['success', 'error', 'requeue', 'requeue_after'])
      metrics.reconcileTotal.inc({ controller, result }, 0);
    for (const counter of [metrics.reconcileErrors, metrics.terminalErrors, metrics.panics, metrics.timeouts])
      counter.inc({ controller }, 0);
    metrics.activeWorkers.set({ controller }, 0);
    metrics.maxConcurrent.set({ controller }, this.#concurrency);
    const since = () => [...this.#queue.runningSince].map((time) => (this.#parts.clock.monotonic() - time) / 1000);
    metrics.onCollect(() => {
      const labels = { name: controller, controller };
      metrics.queueUnfinished.set(
        labels,
        since().reduce((sum, seconds) => sum + seconds, 0),
      );
      metrics.queueLongest.set(labels, Math.max(0, ...since()));
    });
  }
}

/** What Go would have panicked on. */
function isProgrammingError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
}
