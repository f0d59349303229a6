/** What a reconcile came to. Reconcilers may also throw: a thrown error counts as `error`. */
export type Outcome =
  /** The world is as declared, as far as this reconciler can make it; it is called again when something changes. */
  | { readonly kind: 'done' }
  /** Call again after this time, whether or not something changed. */
  | { readonly kind: 'requeueAfter'; readonly ms: number }
  /** Call again with backoff, or never if it is a TerminalError. */
  | { readonly kind: 'error'; readonly error: unknown };

export const done: Outcome = Object.freeze({ kind: 'done' });

export function requeueAfter(ms: number): Outcome {
  return { kind: 'requeueAfter', ms: Math.max(0, ms) };
}

export function failed(error: unknown): Outcome {
  return { kind: 'error', error };
}

/** Trying again cannot help until the document changes: logged and counted, never retried. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}
