/**
 * GET /logs/<namespace>/<task>?file=stdout|stderr&previous=true&follow=true&tail=N&since=SECONDS: the log as bytes, in chunks as they come. The header
 * tells the place of the first (INODE.OFFSET); with the number of bytes that came added, it is `after` for the rest, of this or another agent process.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { LogFile } from '../../logs/open.ts';
import { type LogPlace, readLog } from '../../logs/read.ts';
import { NotHere } from './tasks-source.ts';

/** The query is not what it should be. */
export class BadQuery extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BadQuery';
  }
}

export interface LogQuery {
  file: LogFile;
  follow: boolean;
  tailLines?: number;
  sinceSeconds?: number;
  after?: LogPlace;
}

export const LOG_START_HEADER = 'x-tepui-log-start';

/** Throws BadQuery naming the parameter. */
export function parseLogQuery(query: URLSearchParams): LogQuery {
  const file = query.get('file') ?? 'stdout';
  if (file !== 'stdout' && file !== 'stderr') throw new BadQuery(`file: must be stdout or stderr, not "${file}"`);
  const previous = isTrue(query.get('previous'));
  return {
    file: previous ? `${file}.previous` : file,
    // What has ended does not go on.
    follow: !previous && isTrue(query.get('follow')),
    ...optionalNumber(query, 'tail', 'tailLines'),
    ...optionalNumber(query, 'since', 'sinceSeconds'),
    ...optionalPlace(query.get('after')),
  };
}

/** Rejects with NotHere when there is no such run. Ends when the log ends or the client goes. A slow client slows the reading, not the task. */
export async function sendLog(
  container: { sandbox: string; ended: Promise<void> },
  query: LogQuery,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const log = readLog(container.sandbox, query.file, {
    follow: query.follow,
    tailLines: query.tailLines,
    ...(query.sinceSeconds !== undefined && { sinceMs: Date.now() - query.sinceSeconds * 1000 }),
    ...(query.after && { after: query.after }),
    onStart(start) {
      if (start === undefined && query.file.endsWith('.previous'))
        throw new NotHere('the container has no run before this one: it was not restarted in place');
      const place = start && { [LOG_START_HEADER]: `${start.inode}.${start.offset}` };
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'cache-control': 'no-store', ...place });
      // A follower of a silent task wants to know that it is connected.
      response.flushHeaders();
    },
    ended: container.ended,
    signal: gone.signal,
  });
  for await (const chunk of log) {
    if (gone.signal.aborted) break;
    if (!response.write(chunk)) await once(response, 'drain', { signal: gone.signal }).catch(() => {});
  }
  response.end();
}

function optionalNumber<K extends string>(query: URLSearchParams, name: string, key: K): { [P in K]?: number } {
  const text = query.get(name);
  if (text === null) return {};
  const value = Number(text);
  if (text === '' || !Number.isFinite(value) || value < 0)
    throw new BadQuery(`${name}: must be a number of at least 0, not "${text}"`);
  return { [key]: value } as { [P in K]?: number };
}

function optionalPlace(text: string | null): { after?: LogPlace } {
  if (text === null) return {};
  const [, inode, offset] = /^(\d{1,20})\.(\d{1,15})$/.exec(text) ?? [];
  if (inode === undefined) throw new BadQuery(`after: must be INODE.OFFSET, not "${text}"`);
  return { after: { inode: BigInt(inode), offset: Number(offset) } };
}

function isTrue(text: string | null): boolean {
  return text !== null && !['false', '0', 'no'].includes(text);
}
