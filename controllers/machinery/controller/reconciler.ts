import type { ObjectKey } from '../client/client.ts';
import type { Logger } from '../logger.ts';
import type { Outcome } from '../outcome.ts';

/** Everything a reconciler is told. It is a name and nothing more: the whole state is read again each time. */
export type Request = ObjectKey;

export interface ReconcileContext {
  /** Aborted when the reconcile takes too long or the process stops: give it to everything that waits. */
  signal: AbortSignal;
  /** Has controller, namespace, name and reconcileID bound. */
  logger: Logger;
}

/**
 * Makes the world as one document declares it.
 *
 * Guarantees: never called twice at a time for one key; called again after every change, and after an error with backoff.
 * Assumptions: the object may be gone; the cache may be older than the last write of this very reconciler.
 */
export type Reconciler = (request: Request, context: ReconcileContext) => Promise<Outcome>;
