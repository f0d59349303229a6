import type { Dispatcher } from 'undici';
import type { Connection } from './connections.ts';
import { ApiUnreachableError } from './errors.ts';

export interface HttpRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | Buffer;
}

export interface HttpAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

/** One request and its whole answer. Rejects with ApiUnreachableError only. */
export function exchange(connection: Connection, request: HttpRequest, timeoutMs: number): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let status = 0;
    let headers: HttpAnswer['headers'] = {};
    let controller: Dispatcher.DispatchController | undefined;
    let failure: ApiUnreachableError | undefined;

    const timer = setTimeout(() => {
      fail(
        new ApiUnreachableError(`${request.method} ${request.path}: no answer within ${timeoutMs} ms`, {
          timedOut: true,
        }),
      );
      controller?.abort(failure!);
    }, timeoutMs);
    const fail = (error: ApiUnreachableError) => {
      clearTimeout(timer);
      failure ??= error;
      reject(failure);
    };

    connection.sender.dispatch(dispatchOptions(connection, request, timeoutMs), {
      onRequestStart(started) {
        controller = started;
        if (failure) started.abort(failure);
      },
      onResponseStart(_controller, code, answered) {
        status = code;
        headers = answered;
      },
      onResponseData(_controller, chunk) {
        chunks.push(chunk);
      },
      onResponseEnd() {
        clearTimeout(timer);
        resolve({ status, headers, body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) });
      },
      onResponseError(_controller, error) {
        fail(unreachable(request, error));
      },
    });
  });
}

/** What undici is told for a request; the time limit for a silent server is enforced a second time by the caller's own clock. */
export function dispatchOptions(
  connection: Connection,
  request: HttpRequest,
  timeoutMs: number,
): Dispatcher.DispatchOptions {
  return {
    method: request.method,
    path: request.path,
    headers: connection.authorization
      ? { ...request.headers, authorization: connection.authorization }
      : request.headers,
    body: request.body ?? null,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    // Without this, undici closes the connection after every DELETE with a body (preconditions are in one), and a TLS handshake costs more than the request.
    reset: false,
  };
}

/** Names the request in front of the cause, so that a log line needs no more context. */
export function unreachable(request: HttpRequest, cause: Error): ApiUnreachableError {
  if (cause instanceof ApiUnreachableError) return cause;
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  return new ApiUnreachableError(`${request.method} ${request.path}: ${cause.message || code}`, {
    cause,
    timedOut: code.includes('TIMEOUT') || code === 'ETIMEDOUT',
    isCanceled: code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED' || code === 'UND_ERR_ABORTED',
  });
}
