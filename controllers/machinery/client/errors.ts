/**
 * What can go wrong with a call to the API. Two kinds only: the server answered with an error (ApiStatusError), or there was no complete
 * answer (ApiUnreachableError). Everything else is a programming error.
 */

/** The `Status` document of the Kubernetes API. */
export interface Status {
  kind?: string;
  apiVersion?: string;
  status?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: {
    name?: string;
    kind?: string;
    group?: string;
    uid?: string;
    retryAfterSeconds?: number;
    causes?: { reason?: string; message?: string; field?: string }[];
  };
}

/** The server answered, and the answer is an error. */
export class ApiStatusError extends Error {
  readonly code: number;
  /** The CamelCase reason of the Status document, `Unknown` if the answer was not one. */
  readonly reason: string;
  readonly status: Status;
  readonly retryAfterMs: number | undefined;

  constructor(code: number, status: Status, request?: string, retryAfterMs?: number) {
    const text = status.message || `the server answered ${code}`;
    super(request ? `${request}: ${text}` : text);
    this.name = 'ApiStatusError';
    this.code = code;
    this.reason = status.reason || 'Unknown';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** There was no complete answer: refused, reset, timed out. A write may or may not have taken place. */
export class ApiUnreachableError extends Error {
  readonly timedOut: boolean;
  /** Whether the caller ended the call itself, through its signal or by closing the client. */
  readonly isCanceled: boolean;

  constructor(message: string, options: { cause?: unknown; timedOut?: boolean; isCanceled?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.name = 'ApiUnreachableError';
    this.timedOut = options.timedOut ?? false;
    this.isCanceled = options.isCanceled ?? false;
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof ApiStatusError && error.code === 404;
}

/** A write was based on an old resourceVersion (and not: the object exists already). */
export function isConflict(error: unknown): boolean {
  return error instanceof ApiStatusError && error.code === 409 && error.reason !== 'AlreadyExists';
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof ApiStatusError && error.reason === 'AlreadyExists';
}

/** The resource version or the continue token is no longer served: list again from the start. */
export function isExpired(error: unknown): boolean {
  return (
    error instanceof ApiStatusError && (error.code === 410 || error.reason === 'Expired' || error.reason === 'Gone')
  );
}

export function isInvalid(error: unknown): boolean {
  return error instanceof ApiStatusError && error.code === 422;
}

/** The namespace (or the object) is being deleted, so nothing can be created in it any more. */
export function isBeingTerminated(error: unknown): boolean {
  return (
    error instanceof ApiStatusError &&
    error.code === 403 &&
    (error.status.details?.causes ?? []).some((cause) => cause.reason === 'NamespaceTerminating')
  );
}
