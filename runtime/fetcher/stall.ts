/** Notices that less than one byte per second arrived for a while. */
export interface StallWatch {
  /** So many bytes have arrived. */
  advance(bytes: number): void;
  stop(): void;
}

/** Looked at so many times within the timeout. */
const LOOKS = 8;

/** Calls `onStall` once, at most an eighth of the timeout late. */
export function watchForStall(
  timeoutMs: number,
  onStall: () => void,
  now = (): number => performance.now(),
): StallWatch {
  let total = 0;
  const samples = [{ timeMs: now(), total }];
  const timer = setInterval(() => {
    const timeMs = now();
    samples.push({ timeMs, total });
    // The youngest sample that is old enough is the beginning of the window.
    while (samples.length > 1 && timeMs - samples[1]!.timeMs >= timeoutMs) samples.shift();
    const begin = samples[0]!;
    if (timeMs - begin.timeMs < timeoutMs || (total - begin.total) * 1000 >= timeMs - begin.timeMs) return;
    clearInterval(timer);
    onStall();
  }, timeoutMs / LOOKS);
  timer.unref();
  return {
    advance(bytes) {
      total += bytes;
    },
    stop: () => clearInterval(timer),
  };
}
