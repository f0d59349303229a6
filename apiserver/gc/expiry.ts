import type { KubernetesObject, ResourceDefinition } from '../resources/definition.ts';
import type { ObjectKey } from './owner-graph.ts';

export interface ExpiryOptions {
  ttlMs: number;
  /** Deletes what has expired; called once per key. */
  expire: (key: ObjectKey) => void;
  now: () => number;
  signal: AbortSignal;
}

/** Longer waits would overflow the timer. */
const longestWaitMs = 2 ** 31 - 1;

/**
 * Objects of one kind that go some time after their last write. As the time to live is the same for all, the order of writes is the order of
 * expiry: one timer for the oldest is enough.
 */
export class Expiry {
  readonly #options: ExpiryOptions;
  readonly #written = new Map<ObjectKey, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ExpiryOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => clearTimeout(this.#timer));
  }

  /** The object was written at this time. Must be called in the order of times. */
  written(key: ObjectKey, atMs: number): void {
    this.#written.delete(key);
    this.#written.set(key, atMs);
    this.#schedule();
  }

  gone(key: ObjectKey): void {
    this.#written.delete(key);
  }

  #schedule(): void {
    if (this.#timer || this.#options.signal.aborted) return;
    const oldest = this.#written.values().next().value;
    if (oldest === undefined) return;
    const wait = Math.min(Math.max(0, oldest + this.#options.ttlMs - this.#options.now()), longestWaitMs);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#expireDue();
      this.#schedule();
    }, wait);
    this.#timer.unref();
  }

  #expireDue(): void {
    const due = this.#options.now() - this.#options.ttlMs;
    for (const [key, at] of this.#written) {
      if (at > due) return;
      this.#written.delete(key);
      this.#options.expire(key);
    }
  }
}

/** When an object was last written as far as it tells; used once at start, since the store does not say. */
export function lastWriteOf(object: KubernetesObject): number {
  const { lastTimestamp, eventTime, series } = object as {
    lastTimestamp?: string;
    eventTime?: string;
    series?: { lastObservedTime?: string };
  };
  const times = [object.metadata.creationTimestamp, lastTimestamp, eventTime, series?.lastObservedTime];
  return Math.max(0, ...times.map((time) => (time ? Date.parse(time) : 0)).filter((time) => !Number.isNaN(time)));
}

export function expires(definition: ResourceDefinition): definition is ResourceDefinition & { ttlSeconds: number } {
  return definition.ttlSeconds !== undefined;
}
