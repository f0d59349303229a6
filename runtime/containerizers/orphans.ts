/**
 * Containers and groups that nobody expects, found at the start. One that cannot be removed (the kernel holds a process in uninterruptible I/O, say of a
 * file server that is gone) is no reason for an agent not to start: it is tried again.
 */
import type { Logger } from 'pino';

const firstPauseMs = 1000;
const longestPauseMs = 60_000;

export interface Orphans {
  /** Resolves after the first attempt, whatever came of it. */
  remove(id: string, attempt: () => Promise<void>): Promise<void>;
  /** Tries all that are left once more. Rejects with why one stays. */
  removeAll(): Promise<void>;
  /** Nothing is tried any more. */
  close(): void;
}

export function createOrphans(logger: Logger): Orphans {
  const left = new Map<string, { attempt: () => Promise<void>; timer: NodeJS.Timeout }>();
  let isClosed = false;

  async function remove(id: string, attempt: () => Promise<void>, pauseMs: number): Promise<void> {
    try {
      await attempt();
      left.delete(id);
      logger.info({ containerID: id }, 'an orphaned container was removed');
    } catch (err) {
      if (isClosed) return;
      logger.warn({ err, containerID: id, retryMs: pauseMs }, 'an orphaned container could not be removed yet');
      const timer = setTimeout(() => void remove(id, attempt, Math.min(2 * pauseMs, longestPauseMs)), pauseMs).unref();
      left.set(id, { attempt, timer });
    }
  }

  return {
    remove: (id, attempt) => remove(id, attempt, firstPauseMs),
    async removeAll() {
      // In their order: groups after the containers in them.
      for (const [id, { attempt, timer }] of left) {
        await attempt();
        clearTimeout(timer);
        left.delete(id);
      }
    },
    close() {
      isClosed = true;
      for (const { timer } of left.values()) clearTimeout(timer);
    },
  };
}
