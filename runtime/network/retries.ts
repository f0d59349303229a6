/** Groups that nobody asks for any more and whose networks could not be taken back yet: tried again until they are. */
import type { NetworkContext } from './context.ts';

const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 60_000;

export interface Retries {
  add(groupId: string): void;
  close(): void;
}

export function createRetries({ logger }: NetworkContext, detach: (groupId: string) => Promise<void>): Retries {
  const timers = new Map<string, NodeJS.Timeout>();
  let closed = false;
  const later = (groupId: string, pauseMs: number): void => {
    if (closed) return;
    const timer = setTimeout(() => {
      timers.delete(groupId);
      detach(groupId).catch((err: unknown) => {
        const requeueAfterMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
        logger.warn(
          { err, containerID: groupId, requeueAfterMs },
          'a network could not be taken back yet; it is retried',
        );
        later(groupId, requeueAfterMs);
      });
    }, pauseMs);
    timers.set(groupId, timer.unref());
  };
  return {
    add: (groupId) => later(groupId, PAUSE_MIN_MS),
    close() {
      closed = true;
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}
