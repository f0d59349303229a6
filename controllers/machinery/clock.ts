import { setTimeout as delay } from 'node:timers/promises';

/** Time as an argument, so that everything that waits can be tested without waiting. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch: for timestamps in documents. */
  now(): number;
  /** Milliseconds that never jump: for intervals and deadlines. */
  monotonic(): number;
  /** Resolves after `ms`, or early (without an error) when the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after `ms`; the returned function cancels. Does not keep the process alive. */
  schedule(ms: number, callback: () => void): () => void;
}

/** Longer timers overflow in Node and fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    try {
      await delay(Math.min(ms, MAX_TIMER_MS), undefined, { signal });
    } catch {
      // aborted
    }
  },
  schedule(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** RFC 3339 in whole seconds, as conditions and most status times are written. */
export function timestamp(clock: Pick<Clock, 'now'>): string {
  return `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
}

/** RFC 3339 with microseconds, as Leases and Events are written. */
export function microTimestamp(clock: Pick<Clock, 'now'>): string {
  return new Date(clock.now()).toISOString().replace('Z', '000Z');
}
