import type { Dispatcher } from 'undici';
import type { WatchEvent } from './client.ts';
import type { Connection } from './connections.ts';
import { ApiUnreachableError } from './errors.ts';
import { dispatchOptions, type HttpRequest, unreachable } from './exchange.ts';
import { JsonLines } from './json-lines.ts';

/** Events that wait for a slow consumer before the socket is paused. */
const HIGH_WATER = 256;
/** Servers send the headers at once, also when there is no event yet. */
const HEADERS_TIMEOUT_MS = 30_000;

/** Builds the error for an answer that is not 200, from its whole body. */
export type StatusErrorFactory = (
  status: number,
  headers: Record<string, string | string[] | undefined>,
  body: Buffer,
) => Error;

/** The events of one watch request, until the server ends it (returns) or it fails (throws). Ends silently when the signal is aborted. */
export async function* watchStream<T>(
  connection: Connection,
  request: HttpRequest,
  signal: AbortSignal,
  statusError: StatusErrorFactory,
): AsyncGenerator<WatchEvent<T>> {
  const queue: WatchEvent<T>[] = [];
  const lines = new JsonLines();
  const errorBody: Buffer[] = [];
  let status = 0;
  let headers: Record<string, string | string[] | undefined> = {};
  let ended = false;
  let failure: Error | undefined;
  let paused = false;
  let controller: Dispatcher.DispatchController | undefined;
  let wake: (() => void) | undefined;

  const settle = (error?: Error) => {
    ended = true;
    failure ??= error;
    wake?.();
  };
  const abort = () => {
    settle();
    controller?.abort(new ApiUnreachableError('watch ended by its caller', { isCanceled: true }));
  };
  if (signal.aborted) return;
  signal.addEventListener('abort', abort, { once: true });

  connection.sender.dispatch(
    { ...dispatchOptions(connection, request, 0), headersTimeout: HEADERS_TIMEOUT_MS, bodyTimeout: 0 },
    {
      onRequestStart(started) {
        controller = started;
        if (ended) abort();
      },
      onResponseStart(_controller, code, answered) {
        status = code;
        headers = answered;
      },
      onResponseData(current, chunk) {
        if (status !== 200) {
          errorBody.push(chunk);
          return;
        }
        try {
          for (const document of lines.push(chunk)) queue.push(document as WatchEvent<T>);
        } catch (cause) {
          settle(new ApiUnreachableError(`${request.path}: the watch sent a line that is not JSON`, { cause }));
          current.abort(failure!);
          return;
        }
        if (queue.length > HIGH_WATER && !paused) {
          paused = true;
          current.pause();
        }
        wake?.();
      },
      onResponseEnd() {
        settle(status === 200 ? undefined : statusError(status, headers, Buffer.concat(errorBody)));
      },
      onResponseError(_controller, error) {
        settle(ended ? undefined : unreachable(request, error));
      },
    },
  );

  try {
    while (true) {
      let event = queue.shift();
      while (event !== undefined && !signal.aborted) {
        yield event;
        event = queue.shift();
      }
      if (signal.aborted) return;
      if (paused) {
        paused = false;
        controller?.resume();
        if (queue.length > 0) continue;
      }
      if (ended) {
        if (failure) throw failure;
        return;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      wake = undefined;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    if (!ended) abort();
  }
}
