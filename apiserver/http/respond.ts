import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { stringify } from 'yaml';
import type { ApiError } from './errors.ts';
import type { ApiRequest, ApiResponse } from './exchange.ts';

/** Smaller answers cost more to compress than to send. */
const gzipThreshold = 128 * 1024;
const compress = promisify(gzip);

export interface Answer {
  status: number;
  /** JSON, in pieces that are sent one after another. */
  json: Buffer[];
  media?: 'json' | 'yaml';
  warnings?: string[];
  headers?: Record<string, string>;
}

/** Sends one answer, as YAML or compressed if the client wants it so. */
export async function sendAnswer(request: ApiRequest, response: ApiResponse, answer: Answer): Promise<void> {
  const headers: Record<string, string | string[]> = { 'Cache-Control': 'no-cache, private', ...answer.headers };
  headers['Content-Type'] ??= answer.media === 'yaml' ? 'application/yaml' : 'application/json';
  if (answer.warnings?.length) headers.Warning = answer.warnings.map(warningHeader);
  let pieces = answer.json;
  if (answer.media === 'yaml') pieces = [toYaml(pieces)];
  let length = sizeOf(pieces);
  if (length > gzipThreshold && acceptsGzip(request)) {
    pieces = [await compress(Buffer.concat(pieces), { level: 1 })];
    length = sizeOf(pieces);
    headers['Content-Encoding'] = 'gzip';
    headers.Vary = 'Accept-Encoding';
  }
  if (response.destroyed) return;
  headers['Content-Length'] = String(length);
  response.writeHead(answer.status, headers);
  const body = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  if (request.complete) {
    response.end(body);
    return;
  }
  response.write(body);
  await discardRest(request);
  response.end();
}

/** How much more a client may send after it was refused, and for how long, before it is cut off. */
const maxDiscardedBytes = 64 * 1024 * 1024;
const discardMs = 10_000;

/**
 * Reads on until the client has sent all or hangs up. The answer is under way already; closing now, with bytes unread, would make the
 * kernel reset the connection, and the client would lose the answer.
 */
function discardRest(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let discarded = 0;
    const timer = setTimeout(resolve, discardMs);
    request.on('data', (chunk: Buffer) => {
      discarded += chunk.length;
      if (discarded > maxDiscardedBytes) resolve();
    });
    for (const event of ['end', 'error', 'close']) request.on(event, () => resolve());
    request.on('close', () => clearTimeout(timer));
    request.resume();
  });
}

export function jsonAnswer(status: number, value: unknown, more: Partial<Answer> = {}): Answer {
  return { status, json: [Buffer.from(JSON.stringify(value))], ...more };
}

export function errorAnswer(error: ApiError): Answer {
  const headers: Record<string, string> = {};
  const retryAfter = error.details?.retryAfterSeconds;
  if (retryAfter) headers['Retry-After'] = String(retryAfter);
  if (error.httpStatus === 401) headers['WWW-Authenticate'] = 'Bearer';
  return jsonAnswer(error.httpStatus, error.toStatus(), { headers });
}

export function textAnswer(status: number, text: string, contentType = 'text/plain; charset=utf-8'): Answer {
  return {
    status,
    json: [Buffer.from(text)],
    headers: { 'Content-Type': contentType, 'X-Content-Type-Options': 'nosniff' },
  };
}

/** RFC 7234 form; kubectl prints the quoted text. */
function warningHeader(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?').slice(0, 1000);
  return `299 - "${printable.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function toYaml(json: Buffer[]): Buffer {
  return Buffer.from(stringify(JSON.parse(Buffer.concat(json).toString()), { aliasDuplicateObjects: false }));
}

function acceptsGzip(request: ApiRequest): boolean {
  return /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
}

function sizeOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}
