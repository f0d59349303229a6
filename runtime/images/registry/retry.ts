/** Trying again after what passes by itself. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SourceFailed } from '../image-source.ts';

/** Waits before the second, third ... try. With jitter of a quarter, so that agents that were cut off together do not come back together. */
export const RETRY_DELAYS_MS = [250, 1_000, 3_000, 8_000];

/** Rejects with the last failure, at once with one that is not retryable, or with the signal's reason. */
export async function withRetries<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  delaysMs: number[] = RETRY_DELAYS_MS,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SourceFailed) || !error.retryable || attempt >= delaysMs.length) throw error;
      await pause(error, delaysMs[attempt]!, signal);
    }
  }
}

/** Between two tries, or longer when the server says so. */
export async function pause(error: SourceFailed, delayMs: number, signal: AbortSignal): Promise<void> {
  const jittered = delayMs * (0.75 + Math.random() / 2);
  await sleep(Math.max(jittered, error.retryAfterMs ?? 0), undefined, { signal }).catch(() => signal.throwIfAborted());
}
