/**
 * WebSocket /exec/<namespace>/<task>?command=ARG&command=ARG&stdin=true&tty=true&columns=N&rows=N and /attach/<namespace>/<task>?stdin=true&
 * output=false&history=true, each with `container=NAME`: what their queries say. session.ts does the rest.
 */
import type { AttachRequest, ExecRequest } from '../../containerizers/containerizer.ts';
import { BadQuery } from './logs.ts';

/** Throws BadQuery. */
export function parseExecQuery(query: URLSearchParams): Omit<ExecRequest, 'containerId'> {
  const argv = query.getAll('command');
  if (argv.length === 0 || argv[0] === '') throw new BadQuery('command: is missing');
  const [columns, rows] = [Number(query.get('columns')), Number(query.get('rows'))];
  return {
    argv,
    tty: flag(query, 'tty', false),
    stdin: flag(query, 'stdin', false),
    ...(columns > 0 && rows > 0 && { size: { columns, rows } }),
  };
}

/** `stdin` false: what the client sends is not passed on. */
export function parseAttachQuery(query: URLSearchParams): Omit<AttachRequest, 'containerId'> & { stdin: boolean } {
  return {
    stdin: flag(query, 'stdin', false),
    output: flag(query, 'output', true),
    history: flag(query, 'history', false),
  };
}

function flag(query: URLSearchParams, name: string, fallback: boolean): boolean {
  const text = query.get(name);
  return text === null ? fallback : ['true', '1', ''].includes(text);
}
