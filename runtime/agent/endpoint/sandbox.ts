/**
 * GET /sandbox/browse|read|download/<namespace>/<task>?container=NAME&path=PATH, also after the task has ended, until its sandbox is removed (as
 * Mesos's /files). `read` gives `length` bytes from `offset` (-1: none, only how many there are) with the size in a header; `download` gives a
 * whole file, or a directory as a tar archive.
 */
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { browseSandbox } from '../sandbox/browse.ts';
import { openInSandbox, SandboxPathRefused } from '../sandbox/locate.ts';
import { tarOf } from '../sandbox/tar.ts';
import { BadQuery } from './logs.ts';

const DEFAULT_LENGTH = 64 * 1024;
const MOST_LENGTH = 2 ** 20;

export const SIZE_HEADER = 'x-tepui-size';

/** Rejects with BadQuery or SandboxPathRefused before anything was sent. */
export async function sendSandbox(
  action: 'browse' | 'read' | 'download',
  sandbox: string,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const path = query.get('path') ?? '';
  if (action === 'browse')
    return sendBytes(response, 'application/json', JSON.stringify(await browseSandbox(sandbox, path)));
  if (action === 'read') return sendPart(sandbox, path, query, response);
  return sendWhole(sandbox, path, response);
}

async function sendPart(
  sandbox: string,
  path: string,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const offset = wholeNumber(query, 'offset', 0, -1);
  const length = Math.min(wholeNumber(query, 'length', DEFAULT_LENGTH, 0), MOST_LENGTH);
  const { handle, status } = await openInSandbox(sandbox, path);
  try {
    if (!status.isFile()) throw new SandboxPathRefused(400, `path: ${path || 'the sandbox'} is a directory`);
    const buffer = Buffer.alloc(offset < 0 ? 0 : length);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, Math.max(0, offset));
    response.setHeader(SIZE_HEADER, String((await handle.stat()).size));
    sendBytes(response, 'application/octet-stream', buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

async function sendWhole(sandbox: string, path: string, response: ServerResponse): Promise<void> {
  const { handle, status } = await openInSandbox(sandbox, path);
  if (status.isDirectory()) {
    response.writeHead(200, { 'content-type': 'application/x-tar', 'cache-control': 'no-store' });
    await pipeline(tarOf(handle), response).catch(() => response.destroy());
    return;
  }
  // As many bytes as it has now: it may grow while it is sent.
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': status.size,
    'cache-control': 'no-store',
  });
  if (status.size === 0) {
    await handle.close();
    response.end();
    return;
  }
  await pipeline(handle.createReadStream({ start: 0, end: status.size - 1 }), response).catch(() => response.destroy());
}

function sendBytes(response: ServerResponse, type: string, body: string | Uint8Array): void {
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}

function wholeNumber(query: URLSearchParams, name: string, fallback: number, least: number): number {
  const text = query.get(name);
  if (text === null) return fallback;
  const value = Number(text);
  if (text === '' || !Number.isSafeInteger(value) || value < least)
    throw new BadQuery(`${name}: must be a whole number of at least ${least}, not "${text}"`);
  return value;
}
