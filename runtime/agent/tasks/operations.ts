/** What goes on beside a task's worker: at most one operation per container, retried with growing delays when it fails for want of something outside. */
import type { TaskRunner } from './runner.ts';

const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 30_000;

export interface Operations {
  /**
   * Begins the work unless something goes on for this name, or it failed a moment ago; the worker is woken when it is over. `signal` asks it to
   * stop for the task's sake, `transfer` also when the agent ends.
   */
  begin(name: string, work: (signal: AbortSignal, transfer: AbortSignal) => Promise<void>): void;
  isBusy(name: string): boolean;
  busy(): ReadonlySet<string>;
  /** Asks all to stop: the task is to end. */
  abort(): void;
  /** Cuts transfers and waits for the rest. */
  close(): Promise<void>;
}

interface Operation {
  abort: AbortController;
  done: Promise<void>;
}

export function createOperations(runner: TaskRunner): Operations {
  const running = new Map<string, Operation>();
  const held = new Map<string, { untilMs: number; delayMs: number }>();
  const closing = new AbortController();

  const failed = (name: string, error: unknown): void => {
    const { context } = runner;
    const delayMs = Math.min((held.get(name)?.delayMs ?? RETRY_MIN_MS / 2) * 2, RETRY_MAX_MS);
    held.set(name, { untilMs: context.now() + delayMs, delayMs });
    setTimeout(() => runner.wake(), delayMs + 1).unref();
    context.logger.warn(
      { err: error, task: runner.name(), ...(name && { op: `container ${name}` }), requeueAfterMs: delayMs },
      'a step of a task failed; it is retried',
    );
  };

  return {
    begin(name, work) {
      if (running.has(name) || closing.signal.aborted) return;
      if ((held.get(name)?.untilMs ?? 0) > runner.context.now()) return;
      const abort = new AbortController();
      const finish = (): void => {
        running.delete(name);
        runner.wake();
      };
      const done = work(abort.signal, AbortSignal.any([abort.signal, closing.signal])).then(
        () => {
          held.delete(name);
          finish();
        },
        (error: unknown) => {
          if (!closing.signal.aborted) failed(name, error);
          finish();
        },
      );
      running.set(name, { abort, done });
    },
    isBusy: (name) => running.has(name),
    busy: () => new Set(running.keys()),
    abort() {
      for (const { abort } of running.values()) abort.abort();
    },
    async close() {
      closing.abort();
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}
