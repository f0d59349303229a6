import type { Clock } from '../../../controllers/machinery/clock.ts';

export interface ManualClock extends Clock {
  /** Moves both clocks on, and runs what comes due on the way, in order, letting promises settle in between. */
  advance(ms: number): Promise<void>;
  /** Timers that wait. */
  readonly pending: number;
}

export function createManualClock(epochMs = Date.parse('2026-01-01T00:00:00Z')): ManualClock {
  let time = 0;
  let order = 0;
  const timers = new Set<{ due: number; order: number; callback: () => void }>();

  const schedule = (ms: number, callback: () => void) => {
    const timer = { due: time + ms, order: order++, callback };
    timers.add(timer);
    return () => timers.delete(timer);
  };
  const settle = async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    now: () => epochMs + time,
    monotonic: () => time,
    schedule,
    sleep(ms, signal) {
      return new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const cancel = schedule(ms, () => resolve());
        signal?.addEventListener(
          'abort',
          () => {
            cancel();
            resolve();
          },
          { once: true },
        );
      });
    },
    async advance(ms) {
      const end = time + ms;
      await settle();
      for (;;) {
        const next = [...timers]
          .filter((timer) => timer.due <= end)
          .sort((a, b) => a.due - b.due || a.order - b.order)[0];
        if (!next) break;
        timers.delete(next);
        time = Math.max(time, next.due);
        next.callback();
        await settle();
      }
      time = end;
      await settle();
    },
    get pending() {
      return timers.size;
    },
  };
}
