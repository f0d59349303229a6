import type { Clock } from '../clock.ts';
import { createRetryDelay, type RetryDelay, type RetryDelayOptions } from './rate-limit.ts';

/** Told of what goes through a queue; see metrics/queue-metrics.ts. */
export interface QueueObserver {
  added(depth: number): void;
  retried(): void;
  started(depth: number, waitedSeconds: number): void;
  finished(workedSeconds: number): void;
}

export interface WorkQueueOptions extends RetryDelayOptions {
  clock: Clock;
  observer?: QueueObserver;
}

/**
 * Keys that wait to be worked on.
 *
 * Guarantees: a key waits at most once, however often it is added; it is never handed out twice at a time; one that is added while it is
 * worked on is handed out again afterwards; keys come out in the order in which they became ready.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #observer: QueueObserver | undefined;
  readonly #retryDelay: RetryDelay;
  /** In order; a Map keeps insertion order and finds duplicates. The value is the time of the add. */
  readonly #ready = new Map<string, number>();
  readonly #running = new Map<string, number>();
  readonly #addedWhileRunning = new Set<string>();
  readonly #delayed = new Map<string, { due: number; cancel: () => void }>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #isShutDown = false;

  constructor(options: WorkQueueOptions) {
    this.#clock = options.clock;
    this.#observer = options.observer;
    this.#retryDelay = createRetryDelay(() => options.clock.monotonic(), options);
  }

  /** Keys that are ready, without those that run or wait for a time. */
  get depth(): number {
    return this.#ready.size;
  }

  get runningSince(): IterableIterator<number> {
    return this.#running.values();
  }

  /** Ready now; an earlier request for a later time is covered by it. */
  add(key: string): void {
    if (this.#isShutDown) return;
    this.#cancelDelayed(key);
    if (this.#running.has(key)) {
      this.#addedWhileRunning.add(key);
      return;
    }
    if (this.#ready.has(key)) return;
    this.#ready.set(key, this.#clock.monotonic());
    this.#observer?.added(this.#ready.size);
    this.#handOut();
  }

  /** Ready after a time; of several the earliest counts. */
  addAfter(key: string, ms: number): void {
    if (this.#isShutDown) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const due = this.#clock.monotonic() + ms;
    const existing = this.#delayed.get(key);
    if (existing && existing.due <= due) return;
    existing?.cancel();
    const cancel = this.#clock.schedule(ms, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { due, cancel });
  }

  /** Ready after its backoff, which grows with each call until `forget`. Returns the delay. */
  addRateLimited(key: string): number {
    const delay = this.#retryDelay.next(key);
    this.#observer?.retried();
    this.addAfter(key, delay);
    return delay;
  }

  forget(key: string): void {
    this.#retryDelay.forget(key);
  }

  failures(key: string): number {
    return this.#retryDelay.failures(key);
  }

  /** The next key, as soon as there is one; undefined once the queue is shut down. Every key must be given back by `done`. */
  take(): Promise<string | undefined> {
    return new Promise((resolve) => {
      if (this.#isShutDown) {
        resolve(undefined);
        return;
      }
      this.#takers.push(resolve);
      this.#handOut();
    });
  }

  done(key: string): void {
    const since = this.#running.get(key);
    if (since === undefined) return;
    this.#running.delete(key);
    this.#observer?.finished((this.#clock.monotonic() - since) / 1000);
    if (this.#addedWhileRunning.delete(key)) this.add(key);
  }

  /** Forgets everything that waits; keys that run may still be given back. */
  shutDown(): void {
    this.#isShutDown = true;
    this.#ready.clear();
    this.#addedWhileRunning.clear();
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  #handOut(): void {
    while (this.#takers.length > 0 && this.#ready.size > 0) {
      const [key, addedAt] = this.#ready.entries().next().value!;
      const now = this.#clock.monotonic();
      this.#ready.delete(key);
      this.#running.set(key, now);
      this.#observer?.started(this.#ready.size, (now - addedAt) / 1000);
      this.#takers.shift()!(key);
    }
  }

  #cancelDelayed(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }
}
