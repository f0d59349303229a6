/** Work that several want at once is done once: it goes on while anybody waits for it and is aborted when nobody does. */

export interface SharedWork<T> {
  /** Starts the work under this key, or joins it. Rejects with the work's failure, or the caller's own signal's reason. */
  join(key: string, signal: AbortSignal | undefined, start: (signal: AbortSignal) => Promise<T>): Promise<T>;
  isRunning(key: string): boolean;
  /** Aborts everything, and waits until it has ended. */
  close(): Promise<void>;
}

interface Running<T> {
  result: Promise<T>;
  waiting: number;
  abort: AbortController;
}

export function createSharedWork<T>(): SharedWork<T> {
  const all = new Map<string, Running<T>>();

  function begin(key: string, start: (signal: AbortSignal) => Promise<T>): Running<T> {
    const abort = new AbortController();
    const running: Running<T> = { result: start(abort.signal), waiting: 0, abort };
    const forget = (): void => {
      if (all.get(key) === running) all.delete(key);
    };
    running.result.then(forget, forget);
    all.set(key, running);
    return running;
  }

  return {
    async join(key, signal, start) {
      signal?.throwIfAborted();
      const known = all.get(key);
      // Work that nobody waited for any more is ending: it cannot be joined.
      const running = known !== undefined && !known.abort.signal.aborted ? known : begin(key, start);
      running.waiting++;
      try {
        return await untilAborted(running.result, signal);
      } finally {
        if (--running.waiting === 0) running.abort.abort(new Error('nobody waits for it any more'));
      }
    },
    isRunning: (key) => all.has(key),
    async close() {
      const running = [...all.values()];
      for (const { abort } of running) abort.abort(new Error('the agent stops'));
      await Promise.allSettled(running.map(({ result }) => result));
    },
  };
}

function untilAborted<T>(result: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return result;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
