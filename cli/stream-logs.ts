import { once } from 'node:events';
import { LOG_START_HEADER } from '../runtime/agent/endpoint/logs.ts';
import type { AgentEndpoint } from './agent-endpoint.ts';
import { isUnreachable, reconnecting } from './reconnect.ts';

export interface LogRequest {
  namespace: string;
  task: string;
  container?: string;
  file: 'stdout' | 'stderr';
  follow: boolean;
  /** Only the last N lines; all when absent. */
  tail?: number;
  /** Leave out what was written longer ago. */
  sinceSeconds?: number;
  /** Of the run before the last restart in place. */
  previous?: boolean;
}

/**
 * Copies a task's output to a stream, until it ends. Following: until the task has ended and all of it was read, also over an agent that is restarted
 * meanwhile; `endpoint` is asked for anew then.
 */
export async function streamLogs(
  endpoint: () => Promise<AgentEndpoint>,
  request: LogRequest,
  out: NodeJS.WritableStream,
  signal?: AbortSignal,
): Promise<void> {
  const place: Place = { offset: 0, bytes: 0, connections: 0 };
  const copy = () => copyFrom(place, endpoint, request, out, signal);
  if (!request.follow) return copy();
  const isLost = (error: unknown) =>
    place.connections > 0 && !signal?.aborted && (error instanceof Broken || isUnreachable(error));
  await reconnecting(copy, isLost, () => place.connections);
}

/** How far we are: the place that the agent told, and what came since. */
interface Place {
  inode?: string;
  offset: number;
  bytes: number;
  connections: number;
}

/** The connection, in the middle of an answer. */
class Broken extends Error {}

async function copyFrom(
  place: Place,
  endpoint: () => Promise<AgentEndpoint>,
  request: LogRequest,
  out: NodeJS.WritableStream,
  signal?: AbortSignal,
): Promise<void> {
  const query = new URLSearchParams({ file: request.file, follow: String(request.follow) });
  if (request.container) query.set('container', request.container);
  if (request.sinceSeconds !== undefined) query.set('since', String(request.sinceSeconds));
  if (request.previous) query.set('previous', 'true');
  if (request.tail !== undefined) query.set('tail', String(request.tail));
  // Without an inode there was no file when we began: all there is, is ours.
  if (place.connections > 0) query.set('after', `${place.inode ?? 0}.${place.offset + place.bytes}`);
  const response = await (await endpoint()).get(`/logs/${request.namespace}/${request.task}?${query}`, signal);
  place.connections += 1;
  const [inode, offset] = String(response.headers[LOG_START_HEADER] ?? '').split('.');
  if (inode && offset) Object.assign(place, { inode, offset: Number(offset), bytes: 0 });
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      place.bytes += chunk.length;
      if (!out.write(chunk)) await once(out, 'drain');
    }
  } catch (cause) {
    throw response.errored && !response.complete ? new Broken('the agent went away', { cause }) : cause;
  }
}
