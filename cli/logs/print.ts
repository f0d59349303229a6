/** Prints what one container writes, to where it wrote it. */
import { finished } from 'node:stream/promises';
import type { AgentEndpoint } from '../agent-endpoint.ts';
import { prefixLines } from '../prefix-lines.ts';
import { type LogRequest, streamLogs } from '../stream-logs.ts';

/** Resolves at the end of its output; with `follow`, of the task. */
export async function printLog(
  endpoint: () => Promise<AgentEndpoint>,
  request: Omit<LogRequest, 'file'>,
  files: LogRequest['file'][],
  isPrefixed: boolean,
): Promise<void> {
  const prefix = `[${[request.task, request.container].filter(Boolean).join(' ')}] `;
  await Promise.all(
    files.map(async (file) => {
      const out = file === 'stdout' ? process.stdout : process.stderr;
      if (!isPrefixed) return streamLogs(endpoint, { ...request, file }, out);
      const lines = prefixLines(prefix);
      lines.pipe(out, { end: false });
      await streamLogs(endpoint, { ...request, file }, lines);
      lines.end();
      await finished(lines);
    }),
  );
}
