/** Going on over an agent, or an API server, that is restarted. */
import { setTimeout as delay } from 'node:timers/promises';
import { ApiUnreachableError } from '../controllers/machinery/client/errors.ts';
import { CliError, EXIT_CODES } from './exit-codes.ts';

/** One that restarts is back within moments. */
const RECONNECT_MS = 30_000;
const PAUSE_MS = 250;

/**
 * Repeats an attempt as long as it rejects with what `isLost` says is a connection that was lost; rejects with anything else, and when nothing went on
 * for 30 seconds. `progress` changes when something did.
 */
export async function reconnecting<T>(
  attempt: () => Promise<T>,
  isLost: (error: unknown) => boolean,
  progress: () => unknown = () => undefined,
): Promise<T> {
  let deadline = Infinity;
  let before: unknown;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isLost(error)) throw error;
      const now = progress();
      if (deadline === Infinity || now !== before) deadline = Date.now() + RECONNECT_MS;
      if (Date.now() > deadline) throw error;
      before = now;
      await delay(PAUSE_MS);
    }
  }
}

/** Whether nobody answered, rather than somebody with an error. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof CliError) return error.exitCode === EXIT_CODES.unreachable.code;
  return error instanceof ApiUnreachableError;
}
