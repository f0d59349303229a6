import { setTimeout as sleep } from 'node:timers/promises';

/** Repeats a check until it neither throws nor rejects; after the time limit its last error is thrown. */
export async function eventually<R>(check: () => R | Promise<R>, timeoutMs = 10_000): Promise<R> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(20);
    }
  }
}
