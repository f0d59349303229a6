import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestListener } from './client.ts';
import type { Connections } from './connections.ts';
import { ApiStatusError, ApiUnreachableError, type Status } from './errors.ts';
import { exchange, type HttpAnswer, type HttpRequest } from './exchange.ts';

export interface TransportSettings {
  /** Path prefix of the server's address, without a slash at the end. */
  prefix: string;
  host: string;
  userAgent: string;
  timeoutMs: number;
}

const MAX_ATTEMPTS = 5;
const MAX_RETRY_AFTER_MS = 30_000;

/** Sends requests, reads JSON answers, and tries again where the server itself asks for it. */
export class Transport {
  readonly #connections: Connections;
  readonly #settings: TransportSettings;
  /** Told of each request. */
  readonly listeners = new Set<RequestListener>();

  constructor(connections: Connections, settings: TransportSettings) {
    this.#connections = connections;
    this.#settings = settings;
  }

  async json<T>(
    verb: string,
    method: string,
    path: string,
    body?: unknown,
    contentType = 'application/json',
  ): Promise<T> {
    const request = this.request(method, path, body === undefined ? undefined : JSON.stringify(body), contentType);
    const answer = await this.#send(verb, request);
    if (answer.status >= 200 && answer.status < 300) return parse(request, answer) as T;
    throw statusError(request, answer);
  }

  async raw(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: unknown }> {
    const text = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const request = this.request(method, path, text);
    Object.assign(
      request.headers,
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    );
    const answer = await this.#send(method.toLowerCase(), request);
    const isJson = String(answer.headers['content-type'] ?? '').includes('json');
    return { status: answer.status, body: isJson ? parse(request, answer) : answer.body.toString('utf8') };
  }

  request(method: string, path: string, body?: string | Buffer, contentType = 'application/json'): HttpRequest {
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': this.#settings.userAgent };
    if (body !== undefined) headers['content-type'] = contentType;
    return { method, path: this.#settings.prefix + path, headers, body };
  }

  observe(verb: string, method: string, code: number | string, seconds: number): void {
    for (const listener of this.listeners)
      listener({ verb, method, code: String(code), host: this.#settings.host, seconds });
  }

  async #send(verb: string, request: HttpRequest): Promise<HttpAnswer> {
    for (let attempt = 1; ; attempt++) {
      const start = performance.now();
      try {
        const answer = await exchange(await this.#connections.requests(), request, this.#settings.timeoutMs);
        this.observe(verb, request.method, answer.status, (performance.now() - start) / 1000);
        const delay = attempt < MAX_ATTEMPTS ? await this.#retryDelay(answer, attempt) : undefined;
        if (delay === undefined) return answer;
        await sleep(delay);
      } catch (error) {
        this.observe(verb, request.method, '<error>', (performance.now() - start) / 1000);
        if (attempt > 1 || request.method !== 'GET' || !isStaleSocket(error)) throw error;
      }
    }
  }

  /** How long to wait before the same request is sent again; undefined if it should not be. */
  async #retryDelay(answer: HttpAnswer, attempt: number): Promise<number | undefined> {
    if (answer.status === 401 && attempt === 1) return (await this.#connections.renewCredentials()) ? 0 : undefined;
    const asked = retryAfterMs(answer);
    // 429 means "not processed", so also a write may be repeated. Other errors are repeated only if the server says when.
    if (answer.status === 429) return Math.min(asked ?? 1000, MAX_RETRY_AFTER_MS);
    if (answer.status >= 500 && asked !== undefined) return Math.min(asked, MAX_RETRY_AFTER_MS);
    return undefined;
  }
}

/** An answer that is not a success, as an error. Bodies that are no Status document become one. */
export function statusError(request: HttpRequest, answer: HttpAnswer): ApiStatusError {
  const title = `${request.method} ${request.path.split('?')[0]}`;
  let status: Status;
  try {
    status = JSON.parse(answer.body.toString('utf8')) as Status;
    if (typeof status !== 'object' || status === null) throw new TypeError('not an object');
  } catch {
    status = { message: `the server answered ${answer.status}: ${answer.body.toString('utf8', 0, 300).trim()}` };
  }
  return new ApiStatusError(answer.status, status, title, retryAfterMs(answer));
}

function parse(request: HttpRequest, answer: HttpAnswer): unknown {
  try {
    return JSON.parse(answer.body.toString('utf8'));
  } catch (cause) {
    throw new ApiUnreachableError(`${request.method} ${request.path}: the answer is not JSON`, { cause });
  }
}

function retryAfterMs(answer: HttpAnswer): number | undefined {
  const header = answer.headers['retry-after'];
  const seconds = Number(Array.isArray(header) ? header[0] : header);
  return header === undefined || Number.isNaN(seconds) ? undefined : seconds * 1000;
}

/** The server closed a kept-alive socket at the moment we wrote to it. */
function isStaleSocket(error: unknown): boolean {
  const cause = error instanceof ApiUnreachableError ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  return cause?.code === 'UND_ERR_SOCKET' || cause?.code === 'ECONNRESET' || cause?.code === 'EPIPE';
}
