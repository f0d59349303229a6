/** A connection for one attempt: gone when the attempt is given up, and its failures sorted by whose they are. */
import type { Duplex } from 'node:stream';
import { failure, type ProbeOutcome, undone } from '../result.ts';
import type { CheckTarget } from '../target.ts';

/** Failures of a connect that say something about the container; others (no descriptors, the container is gone) do not. */
const containerCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
]);

/** Calls `use` with the connection, and destroys it afterwards and when the attempt is given up. */
export async function withConnection(
  target: CheckTarget,
  port: number,
  signal: AbortSignal,
  use: (connection: Duplex) => Promise<ProbeOutcome>,
): Promise<ProbeOutcome> {
  let connection: Duplex;
  try {
    connection = await target.dial(port, signal);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const text = `no connection to port ${port}: ${message}`;
    return code !== undefined && containerCodes.has(code) ? failure(text) : undone(text);
  }
  connection.on('error', () => {}); // whoever reads from it hears of it too
  const end = (): void => void connection.destroy();
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  try {
    return await use(connection);
  } finally {
    signal.removeEventListener('abort', end);
    connection.destroy();
  }
}
