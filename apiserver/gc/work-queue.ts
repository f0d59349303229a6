import { setMaxListeners } from 'node:events';

export interface WorkQueueOptions {
  /** Handles one key; a rejection puts the key back after a pause that doubles each time. */
  work: (key: string) => Promise<void>;
  onError: (key: string, error: unknown, failures: number) => void;
  /** How many keys are worked on at once. One key never is twice. */
  concurrency: number;
  signal: AbortSignal;
}

const firstPauseMs = 20;
const longestPauseMs = 60_000;

/** Keys to be looked at: each is in the queue at most once, and looked at again if it is added while it is worked on. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #active = new Set<string>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #pauses = new Map<string, NodeJS.Timeout>();

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    setMaxListeners(0, options.signal);
    options.signal.addEventListener('abort', () => {
      for (const timer of this.#pauses.values()) clearTimeout(timer);
      this.#pauses.clear();
      this.#waiting.clear();
    });
  }

  add(key: string): void {
    if (this.#options.signal.aborted) return;
    if (this.#active.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#waiting.add(key);
    // Not in the caller's step: the caller is the commit of a write.
    queueMicrotask(() => this.#startSome());
  }

  /** Nothing is waiting, active or pausing. */
  get idle(): boolean {
    return this.#waiting.size + this.#active.size + this.#pauses.size === 0;
  }

  #startSome(): void {
    for (const key of this.#waiting) {
      if (this.#active.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      this.#active.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#options.work(key);
      this.#failures.delete(key);
    } catch (error) {
      this.#retryLater(key, error);
    }
    this.#active.delete(key);
    if (this.#again.delete(key)) this.#addSoon(key, 0);
    this.#startSome();
  }

  #retryLater(key: string, error: unknown): void {
    if (this.#options.signal.aborted) return;
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    this.#options.onError(key, error, failures);
    this.#addSoon(key, Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs));
  }

  /** Also after no pause there is a turn of the event loop: what the key waits for (a write that is being committed) may need it. */
  #addSoon(key: string, pauseMs: number): void {
    clearTimeout(this.#pauses.get(key));
    const timer = setTimeout(() => {
      this.#pauses.delete(key);
      this.add(key);
    }, pauseMs);
    timer.unref();
    this.#pauses.set(key, timer);
  }
}
