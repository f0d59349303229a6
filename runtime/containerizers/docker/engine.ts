/** The Docker Engine API (1.41, Docker 20.10) over its Unix socket. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';

const apiVersion = 'v1.41';
/** Of calls that answer at once. Waits, logs and pulls have none. */
const callTimeoutMs = 60_000;

/** The engine answered with an error: `status` is the HTTP status. */
export class EngineError extends Error {
  override name = 'EngineError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The engine cannot be reached. */
export class EngineUnavailable extends Error {
  override name = 'EngineUnavailable';
}

export interface CallOptions {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Default: 60 s; 0 for none. */
  timeoutMs?: number;
}

export interface Engine {
  readonly socketPath: string;
  /** The answer's JSON; undefined when it has none. Rejects with EngineError or EngineUnavailable. */
  call<T>(method: string, path: string, options?: CallOptions): Promise<T>;
  /** The answer as it comes; the caller reads or destroys it. */
  stream(method: string, path: string, options?: CallOptions): Promise<IncomingMessage>;
  /** A connection that the engine turned into a byte stream (exec). */
  hijack(path: string, body: unknown): Promise<Duplex>;
}

export function connectEngine(socketPath: string): Engine {
  const send = (method: string, path: string, options: CallOptions, upgrade: boolean): ClientRequest => {
    const { body, headers, signal, timeoutMs = callTimeoutMs } = options;
    const content = body === undefined ? undefined : JSON.stringify(body);
    const request = httpRequest({
      socketPath,
      method,
      path: `/${apiVersion}${path}`,
      // A connection of its own for each call: streams would hold shared ones.
      agent: false,
      headers: {
        host: 'docker',
        ...(content !== undefined && {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(content),
        }),
        ...(upgrade && { connection: 'Upgrade', upgrade: 'tcp' }),
        ...headers,
      },
      ...(signal && { signal }),
      ...(timeoutMs > 0 && { timeout: timeoutMs }),
    });
    request.on('timeout', () => request.destroy(new EngineUnavailable('the Docker Engine does not answer')));
    request.end(content);
    return request;
  };
  const unavailable = (cause: Error): Error =>
    cause instanceof EngineUnavailable || cause.name === 'AbortError'
      ? cause
      : new EngineUnavailable(`cannot reach the Docker Engine at ${socketPath}: ${cause.message}`, { cause });
  const stream = (method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const request = send(method, path, options, false);
      request.once('error', (error) => reject(unavailable(error)));
      request.once('response', (response) => {
        const status = response.statusCode ?? 0;
        if (status < 400) resolve(response);
        else failure(response, status).then(reject, reject);
      });
    });

  return {
    socketPath,
    stream,
    async call<T>(method: string, path: string, options: CallOptions = {}) {
      const content = await text(await stream(method, path, options));
      return (content === '' ? undefined : JSON.parse(content)) as T;
    },
    hijack: (path, body) =>
      new Promise((resolve, reject) => {
        const request = send('POST', path, { body, timeoutMs: 0 }, true);
        request.once('error', (error) => reject(unavailable(error)));
        request.once('upgrade', (_response, socket, head) => {
          if (head.length > 0) socket.unshift(head);
          resolve(socket);
        });
        request.once('response', (response) => failure(response, response.statusCode ?? 0).then(reject, reject));
      }),
  };
}

async function failure(response: IncomingMessage, status: number): Promise<EngineError> {
  const content = await text(response);
  try {
    return new EngineError(status, (JSON.parse(content) as { message: string }).message);
  } catch {
    return new EngineError(status, content || `the Docker Engine answered ${status}`);
  }
}

/** Whether the engine says that there is no such thing (any more). */
export function isNotFound(error: unknown): boolean {
  return error instanceof EngineError && error.status === 404;
}

/** 304: it is so already. 409: it is not running. Both are what the caller wanted. */
export function isAlreadySo(error: unknown): boolean {
  return error instanceof EngineError && (error.status === 304 || error.status === 409);
}
