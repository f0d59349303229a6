/**
 * GET /files/<namespace>/<task>?container=NAME&path=PATH&name=NAME: a file or directory of a running container as a tar stream, whose paths begin with
 * `name`. PUT with such a stream as its body puts it at `path`; with name `.` under the names that it has. Both do what a command in the container could do.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { CopyRequest, ExecSession } from '../../containerizers/containerizer.ts';
import { BadQuery } from './logs.ts';

/** Something was left out: the trailer (GET) or answer (PUT) says what. */
const LEFT_OUT = 3;
const MOST_MESSAGE = 4096;
export const LEFT_OUT_TRAILER = 'x-tepui-left-out';

/** Throws BadQuery. */
export function parseCopyQuery(
  query: URLSearchParams,
  direction: CopyRequest['direction'],
): Omit<CopyRequest, 'containerId'> {
  const path = query.get('path') ?? '';
  if (path === '' || path.includes('\0')) throw new BadQuery('path: is missing');
  const name = query.get('name') ?? 'files';
  const keepsNames = name === '.' && direction === 'receive';
  if (
    name === '' ||
    (name === '.' && !keepsNames) ||
    name === '..' ||
    /[/\0]/.test(name) ||
    Buffer.byteLength(name) > 255
  )
    throw new BadQuery('name: must be one part of a path');
  return { direction, path, name };
}

/** The status is that of the first byte: what fails before it is 422 with the reason. */
export async function sendFiles(session: ExecSession, response: ServerResponse): Promise<void> {
  const complaint = collect(session.stderr);
  response.on('close', () => session.signal(9));
  if (!(await hasOutput(session.stdout as Readable))) return refuse(response, await complaint);
  response.writeHead(200, {
    'content-type': 'application/x-tar',
    'cache-control': 'no-store',
    trailer: LEFT_OUT_TRAILER,
  });
  try {
    await pipeline(session.stdout, response, { end: false });
    const { exitCode } = await session.exit;
    if (exitCode !== 0 && exitCode !== LEFT_OUT) return void response.destroy();
    if (exitCode === LEFT_OUT) response.addTrailers({ [LEFT_OUT_TRAILER]: encodeURIComponent(await complaint) });
    response.end();
  } catch {
    response.destroy();
  }
}

export async function receiveFiles(
  session: ExecSession,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const complaint = collect(session.stderr);
  session.stdout.resume();
  request.on('close', () => {
    if (!request.complete) session.signal(9);
  });
  // One that ends early (a full disk) says why by its exit.
  await pipeline(request, session.stdin!).catch(() => {});
  const { exitCode, signal } = await session.exit;
  const text = await complaint;
  if (exitCode !== 0 && exitCode !== LEFT_OUT)
    return refuse(response, text || `the copy ended with ${signal ?? exitCode}`);
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify({ leftOut: exitCode === LEFT_OUT ? text : '' }));
}

function refuse(response: ServerResponse, message: string): void {
  response.writeHead(422, { 'content-type': 'application/json' }).end(JSON.stringify({ message: message.trim() }));
}

/** false when it ends without any: then the copy failed. */
async function hasOutput(stream: Readable): Promise<boolean> {
  if (stream.readableLength === 0 && !stream.readableEnded) await once(stream, 'readable');
  return stream.readableLength > 0;
}

async function collect(stream: NodeJS.ReadableStream | undefined): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) if (text.length < MOST_MESSAGE) text += chunk.toString();
  return text.slice(0, MOST_MESSAGE).trim();
}
