import type { Logger } from '../logger.ts';
import type { Runnable } from './manager.ts';

/** Runnables that start together and stop together. */
export class RunnableGroup {
  readonly #name: string;
  readonly #logger: Logger;
  readonly #runnables: Runnable[] = [];
  readonly #abort = new AbortController();
  #running: Promise<unknown> | undefined;

  constructor(name: string, logger: Logger) {
    this.#name = name;
    this.#logger = logger;
  }

  add(runnable: Runnable): void {
    this.#runnables.push(runnable);
  }

  /** `fail` is called for a runnable that rejects. */
  start(fail: (error: Error) => void): void {
    this.#logger.debug({ name: this.#name, count: this.#runnables.length }, 'Starting');
    this.#running = Promise.all(
      this.#runnables.map(async (runnable) => {
        try {
          await runnable.start(this.#abort.signal);
        } catch (cause) {
          fail(new Error(`${runnable.name} failed`, { cause }));
        }
      }),
    );
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }
}
