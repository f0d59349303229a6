import { once } from 'node:events';
import type { AgentEndpoint } from './agent-endpoint.ts';

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

/** Copies a task's output to a stream, until it ends (following: until the task has ended and all of it was read). */
export async function streamLogs(
  endpoint: AgentEndpoint,
  request: LogRequest,
  out: NodeJS.WritableStream,
  signal?: AbortSignal,
): Promise<void> {
  const query = new URLSearchParams({ file: request.file, follow: String(request.follow) });
  if (request.container) query.set('container', request.container);
  if (request.sinceSeconds !== undefined) query.set('since', String(request.sinceSeconds));
  if (request.previous) query.set('previous', 'true');
  if (request.tail !== undefined) query.set('tail', String(request.tail));
  const response = await endpoint.get(`/logs/${request.namespace}/${request.task}?${query}`, signal);
  for await (const chunk of response) if (!out.write(chunk)) await once(out, 'drain');
}
