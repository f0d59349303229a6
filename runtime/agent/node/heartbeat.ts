/** Renews the lease while the agent lives. Missing heartbeats change nothing here: tasks go on, and the next one that arrives tells. */
import type { Logger } from '../../../controllers/machinery/logger.ts';

export interface Heartbeat {
  close(): Promise<void>;
}

export interface HeartbeatOptions {
  intervalMs: number;
  renew(): Promise<void>;
  /** Told of each attempt, and of the first success after a failure. */
  onResult(ok: boolean, recovered: boolean): void;
  logger: Logger;
}

/** Starts with a wait: the lease was taken just before. A failed renewal is retried sooner than the next heartbeat. */
export function startHeartbeat({ intervalMs, renew, onResult, logger }: HeartbeatOptions): Heartbeat {
  let closed = false;
  let failing = false;
  let timer: NodeJS.Timeout;
  let running: Promise<void> = Promise.resolve();
  const beat = async (): Promise<void> => {
    try {
      await renew();
      onResult(true, failing);
      if (failing) logger.info({}, 'heartbeat is back');
      failing = false;
    } catch (error) {
      if (closed) return;
      onResult(false, false);
      if (!failing) logger.warn({ err: error }, 'heartbeat failed; it is retried');
      failing = true;
    }
    schedule(failing ? Math.min(intervalMs, 2_000) : intervalMs);
  };
  const schedule = (delayMs: number): void => {
    if (closed) return;
    timer = setTimeout(() => {
      running = beat();
    }, delayMs);
    timer.unref();
  };
  schedule(intervalMs);
  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      await running;
    },
  };
}
