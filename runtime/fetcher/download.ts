/** Brings the content of an http or https address into a file: redirects, proxies, retries, resuming where it broke off. */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { FetchFailed } from './errors.ts';
import { watchForStall } from './stall.ts';

export interface DownloadRequest {
  url: URL;
  /** Is created; what is there is overwritten. */
  path: string;
  stallTimeoutMs: number;
  signal?: AbortSignal;
  /** Of the whole file, as the server announces it. May throw to end the download. Called once. */
  onSize?(bytes: number | undefined): void;
  onProgress?(doneBytes: number, totalBytes: number | undefined): void;
}

export interface Downloaded {
  bytes: number;
  /** In hexadecimal. */
  sha256: string;
}

export type Download = (request: DownloadRequest) => Promise<Downloaded>;

export interface DownloadOptions {
  /** Certificate authorities in PEM beside the system's. */
  ca?: string;
  /** First pause between attempts in milliseconds; doubles each time. Default 500. */
  retryMs?: number;
  /** `http_proxy`, `https_proxy` and `no_proxy` are looked at, also in upper case. Default: of this process. */
  env?: Record<string, string | undefined>;
}

const MAX_REDIRECTS = 10;
/** In a row without a byte of progress. */
const MAX_ATTEMPTS = 5;
const MAX_RETRY_MS = 10_000;
const CONNECT_TIMEOUT_MS = 30_000;

/** The returned `close` ends idle connections. */
export function createDownloader(options: DownloadOptions = {}): { download: Download; close(): Promise<void> } {
  const dispatcher = createDispatcher(options);
  return {
    download: (each) => downloadFile(each, dispatcher, options.retryMs ?? 500),
    close: () => dispatcher.destroy(),
  };
}

function createDispatcher({ ca, env = process.env }: DownloadOptions): Dispatcher {
  const connect = { timeout: CONNECT_TIMEOUT_MS, ...(ca !== undefined && { ca }) };
  // The stall watch does it.
  const common = { connect, headersTimeout: 0, bodyTimeout: 0 };
  const value = (name: string): string | undefined => env[name] || env[name.toUpperCase()];
  // The upper-case HTTP_PROXY can be set by a request header in CGI programs and is ignored by curl; an agent is none.
  const [httpProxy, httpsProxy, noProxy] = ['http_proxy', 'https_proxy', 'no_proxy'].map(value);
  if (!httpProxy && !httpsProxy) return new Agent(common);
  return new EnvHttpProxyAgent({
    ...common,
    ...(ca !== undefined && { requestTls: { ca } }),
    httpProxy: httpProxy ?? '',
    httpsProxy: httpsProxy ?? httpProxy ?? '',
    noProxy: noProxy ?? '',
  });
}

interface Progress {
  file: FileHandle;
  hash: Hash;
  done: number;
  total: number | undefined;
  /** Whether onSize has been called. */
  announced: boolean;
  /** Etag (strong) or date by which the server knows that the file is still the same. */
  validator?: string;
}

/** An answer that another attempt may better. */
class Retryable extends Error {}

async function downloadFile(each: DownloadRequest, dispatcher: Dispatcher, retryMs: number): Promise<Downloaded> {
  const { url, path, stallTimeoutMs, signal } = each;
  const stall = new AbortController();
  const watch = watchForStall(stallTimeoutMs, () => stall.abort());
  const ended = signal ? AbortSignal.any([signal, stall.signal]) : stall.signal;
  const file = await open(path, 'w', 0o644);
  const progress: Progress = { file, hash: createHash('sha256'), done: 0, total: undefined, announced: false };
  try {
    for (let failures = 0, pauseMs = retryMs; ; ) {
      const before = progress.done;
      try {
        await attempt(each, progress, dispatcher, ended, watch.advance);
        return { bytes: progress.done, sha256: progress.hash.digest('hex') };
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (stall.signal.aborted) throw stalled(each, progress.done);
        if (!(error instanceof Retryable)) throw error;
        failures = progress.done > before ? 1 : failures + 1;
        if (failures >= MAX_ATTEMPTS) throw new FetchFailed(url.href, error.message, { cause: error.cause });
        await sleep(pauseMs, undefined, { signal: ended }).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, MAX_RETRY_MS);
      }
    }
  } finally {
    watch.stop();
    await progress.file.close();
  }
}

function stalled({ url, stallTimeoutMs }: DownloadRequest, done: number): FetchFailed {
  const message = `less than 1 byte per second for ${stallTimeoutMs / 1000} s, after ${done} bytes`;
  return new FetchFailed(url.href, message, { stalled: true });
}

async function attempt(
  each: DownloadRequest,
  progress: Progress,
  dispatcher: Dispatcher,
  signal: AbortSignal,
  advance: (bytes: number) => void,
): Promise<void> {
  const response = await follow(each.url, progress, dispatcher, signal);
  await acceptHead(each, progress, response);
  try {
    for await (const chunk of response.body) {
      const bytes = chunk as Buffer;
      if (progress.total !== undefined && progress.done + bytes.length > progress.total) {
        throw new FetchFailed(each.url.href, `more than the ${progress.total} bytes that were announced`);
      }
      await writeAll(progress.file, bytes, progress.done);
      progress.hash.update(bytes);
      progress.done += bytes.length;
      advance(bytes.length);
      each.onProgress?.(progress.done, progress.total);
    }
  } catch (error) {
    throw isOfTheNetwork(error)
      ? new Retryable(`the connection broke off: ${messageOf(error)}`, { cause: error })
      : error;
  }
  if (progress.total !== undefined && progress.done < progress.total) {
    throw new Retryable(`only ${progress.done} of ${progress.total} bytes came`);
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const result = await file.write(bytes, written, bytes.length - written, position + written);
    written += result.bytesWritten;
  }
}

/** The first answer that is no redirect. */
async function follow(
  start: URL,
  progress: Progress,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  let url = start;
  for (let redirects = 0; ; redirects++) {
    const response = await ask(url, url.origin === start.origin ? start : undefined, progress, dispatcher, signal);
    const { location } = response.headers;
    if (![301, 302, 303, 307, 308].includes(response.statusCode)) return response;
    await response.body.dump().catch(() => {});
    const next = typeof location === 'string' ? URL.parse(location, url) : null;
    if (redirects === MAX_REDIRECTS) throw new FetchFailed(start.href, `more than ${MAX_REDIRECTS} redirects`);
    if (!next || !['http:', 'https:'].includes(next.protocol)) {
      throw new FetchFailed(
        start.href,
        `it redirects to ${location === undefined ? 'nowhere' : 'something that is no http or https address'}`,
      );
    }
    if (url.protocol === 'https:' && next.protocol === 'http:') {
      throw new FetchFailed(start.href, 'it redirects from https to http');
    }
    url = next;
  }
}

/** User name and password go to the server that the document names, and to no other. */
async function ask(
  url: URL,
  credentials: URL | undefined,
  { done, validator }: Progress,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const basic = credentials && authorization(credentials);
  const target = new URL(url);
  [target.username, target.password, target.hash] = ['', '', ''];
  try {
    return await request(target, {
      dispatcher,
      signal,
      headers: {
        'user-agent': 'tepui-fetcher',
        accept: '*/*',
        // Content-Length is then that of the file.
        'accept-encoding': 'identity',
        ...(basic !== undefined && { authorization: basic }),
        ...(done > 0 && validator !== undefined && { range: `bytes=${done}-`, 'if-range': validator }),
      },
    });
  } catch (error) {
    throw isOfTheNetwork(error) ? new Retryable(messageOf(error), { cause: error }) : error;
  }
}

function authorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  const text = [username, password].map(decoded).join(':');
  return `Basic ${Buffer.from(text, 'utf8').toString('base64')}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a "%" that is meant as one
  }
}

/** Decides whether the answer goes on from where the last one broke off, or starts anew. */
async function acceptHead(each: DownloadRequest, progress: Progress, response: Dispatcher.ResponseData): Promise<void> {
  const { statusCode, headers } = response;
  const length = parseLength(headers['content-length']);
  if (statusCode === 206 && progress.done > 0) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(String(headers['content-range']));
    if (range && Number(range[1]) === progress.done) return;
    await startAnew(progress);
    await response.body.dump().catch(() => {});
    throw new Retryable('the server sent another part than was asked for');
  }
  if (statusCode !== 200) {
    await response.body.dump().catch(() => {});
    const text = `the server answered ${statusCode}`;
    if (statusCode === 416) {
      await startAnew(progress);
      throw new Retryable(text);
    }
    if (statusCode >= 500 || statusCode === 408 || statusCode === 429) throw new Retryable(text);
    throw new FetchFailed(each.url.href, text);
  }
  await startAnew(progress);
  progress.total = length;
  const { etag, 'last-modified': date } = headers;
  if (typeof etag === 'string' && !etag.startsWith('W/')) progress.validator = etag;
  else if (typeof date === 'string') progress.validator = date;
  if (!progress.announced) each.onSize?.(length);
  progress.announced = true;
}

async function startAnew(progress: Progress): Promise<void> {
  await progress.file.truncate(0);
  progress.hash = createHash('sha256');
  progress.done = 0;
  delete progress.validator;
}

function parseLength(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}

/** Errors of sockets, DNS, TLS and HTTP, in contrast to those of the disk and our own. */
function isOfTheNetwork(error: unknown): boolean {
  if (error instanceof FetchFailed || error instanceof Retryable) return false;
  const { code = '', name = '', syscall = '' } = error as NodeJS.ErrnoException;
  return code.startsWith('UND_ERR') || name === 'HTTPParserError' || !['write', 'open', 'ftruncate'].includes(syscall);
}

function messageOf(error: unknown): string {
  const { message, code, cause } = error as NodeJS.ErrnoException;
  if (message) return message;
  return code ?? (cause ? messageOf(cause) : 'the connection failed');
}
