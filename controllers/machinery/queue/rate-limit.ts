/** When a failed key may be tried again: the later of its own exponential delay and of a bucket shared by all keys. */
export interface RetryDelay {
  /** Counts one more failure of this key and says how long to wait. */
  next(key: string): number;
  /** The key succeeded. */
  forget(key: string): void;
  failures(key: string): number;
}

export interface RetryDelayOptions {
  /** Delay after the first failure; doubles with each. Default: 5. */
  baseMs?: number;
  /** Default: 1,000,000 (1000 s). */
  maxMs?: number;
  /** Retries per second over all keys. Default: 10. */
  perSecond?: number;
  /** Retries at once before `perSecond` counts. Default: 100. */
  burst?: number;
}

export function createRetryDelay(monotonic: () => number, options: RetryDelayOptions = {}): RetryDelay {
  const { baseMs = 5, maxMs = 1_000_000, perSecond = 10, burst = 100 } = options;
  const failures = new Map<string, number>();
  const bucket = new TokenBucket(monotonic, perSecond, burst);
  return {
    next(key) {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      return Math.max(Math.min(baseMs * 2 ** Math.min(count, 40), maxMs), bucket.reserve());
    },
    forget(key) {
      failures.delete(key);
    },
    failures: (key) => failures.get(key) ?? 0,
  };
}

/** `perSecond` tokens flow in, up to `burst`. */
export class TokenBucket {
  readonly #monotonic: () => number;
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #time: number;

  constructor(monotonic: () => number, perSecond: number, burst: number) {
    this.#monotonic = monotonic;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#time = monotonic();
  }

  /** Takes a token, if need be one that is yet to come, and returns how many milliseconds until it does. */
  reserve(): number {
    this.#refill();
    this.#tokens -= 1;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#perSecond) * 1000;
  }

  /** Takes a token if there is one. */
  take(): boolean {
    this.#refill();
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Milliseconds until `take` can succeed. */
  waitMs(): number {
    this.#refill();
    return this.#tokens >= 1 ? 0 : ((1 - this.#tokens) / this.#perSecond) * 1000;
  }

  #refill(): void {
    const now = this.#monotonic();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#time) / 1000) * this.#perSecond);
    this.#time = now;
  }
}
