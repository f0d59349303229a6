import { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

/** A request from within the process: whole from the start, so there is nothing to read. */
export class LoopbackRequest {
  readonly complete = true;
  readonly method: string;
  readonly url: string;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;

  constructor(method: string, url: string, headers: IncomingHttpHeaders, body: Buffer) {
    this.method = method;
    this.url = url;
    this.headers = headers;
    this.body = body;
  }
}

type ResponseHeaders = Record<string, string | string[]>;

/** The answer to such a request: what `ServerResponse` is to a socket, with the caller's own functions at the other end. */
export class LoopbackResponse extends EventEmitter<{ close: []; drain: [] }> {
  statusCode = 200;
  destroyed = false;
  writableEnded = false;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #controller: Dispatcher.DispatchController;
  #headers: ResponseHeaders = {};
  #paused = false;
  #aborted: Error | null = null;

  constructor(handler: Dispatcher.DispatchHandler) {
    super();
    this.#handler = handler;
    const response = this;
    this.#controller = {
      get aborted() {
        return response.#aborted !== null;
      },
      get reason() {
        return response.#aborted;
      },
      get paused() {
        return response.#paused;
      },
      rawHeaders: [],
      rawTrailers: [],
      abort: (reason) => this.#fail(reason),
      pause: () => {
        this.#paused = true;
      },
      resume: () => {
        this.#paused = false;
        this.emit('drain');
      },
    };
    handler.onRequestStart?.(this.#controller, {});
  }

  setHeader(name: string, value: string): void {
    this.#headers[name.toLowerCase()] = value;
  }

  writeHead(status: number, headers: ResponseHeaders): void {
    this.statusCode = status;
    for (const [name, value] of Object.entries(headers)) this.#headers[name.toLowerCase()] = value;
    if (!this.destroyed) this.#handler.onResponseStart?.(this.#controller, status, this.#headers);
  }

  /** Heads are never held back. */
  flushHeaders(): void {}

  /** Returns false when the caller wants no more for now; `drain` tells when it does again. */
  write(bytes: Buffer): boolean {
    if (!this.destroyed) this.#handler.onResponseData?.(this.#controller, bytes);
    return !this.#paused;
  }

  end(last?: Buffer): void {
    if (this.destroyed || this.writableEnded) return;
    if (last) this.write(last);
    this.writableEnded = true;
    this.#handler.onResponseEnd?.(this.#controller, {});
    this.#close();
  }

  /** Cuts the caller off, as a server does that closes the socket. */
  destroy(): void {
    this.#fail(Object.assign(new Error('the server ended the answer'), { code: 'UND_ERR_SOCKET' }));
  }

  #fail(reason: Error): void {
    if (this.destroyed) return;
    this.#aborted = reason;
    this.#close();
    this.#handler.onResponseError?.(this.#controller, reason);
  }

  #close(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

export interface Loopback {
  /** Takes requests like a pool of sockets does; same paths, headers, credentials and answers. */
  dispatch: Dispatcher['dispatch'];
  /** Waits for the open requests, and cuts those off that last longer. */
  close(graceMs: number): Promise<void>;
}

/**
 * The way into the API server for the controllers and the agent of the same process: everything that a request from outside passes but TLS, HTTP
 * and the socket, which cost more than the request itself. What comes back is bytes, so that no caller can change a stored object.
 */
export function createLoopback(handle: (request: LoopbackRequest, response: LoopbackResponse) => void): Loopback {
  const open = new Set<LoopbackResponse>();
  return {
    dispatch(options, handler) {
      const response = new LoopbackResponse(handler);
      open.add(response);
      response.once('close', () => open.delete(response));
      const body = options.body == null ? Buffer.alloc(0) : Buffer.from(options.body as string | Buffer);
      const request = new LoopbackRequest(
        options.method,
        options.path,
        (options.headers ?? {}) as IncomingHttpHeaders,
        body,
      );
      // In a turn of its own: a chain of requests that are answered at once would otherwise let nothing else run.
      setImmediate(() => {
        if (!response.destroyed) handle(request, response);
      });
      return true;
    },
    async close(graceMs) {
      const deadline = setTimeout(() => {
        for (const response of open) response.destroy();
      }, graceMs);
      await Promise.all([...open].map((response) => new Promise<void>((resolve) => response.once('close', resolve))));
      clearTimeout(deadline);
    },
  };
}
