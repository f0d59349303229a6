import { accessSync, constants } from 'node:fs';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import WebSocket from 'ws';
import type { ApiClient } from '../controllers/machinery/client/client.ts';
import { Agent } from '../controllers/machinery/client/resources.ts';
import { CliError, EXIT_CODES } from './exit-codes.ts';

/** The way to one agent: its Unix socket when it runs on this machine, else HTTPS with the caller's own token. */
export interface AgentEndpoint {
  get(path: string, signal?: AbortSignal): Promise<IncomingMessage>;
  /** `body` is sent as JSON. */
  send(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<IncomingMessage>;
  /** The body is sent as it comes; an answer before its end ends it. */
  put(path: string, body: Readable): Promise<IncomingMessage>;
  webSocket(path: string, protocols: string[]): WebSocket;
}

/** Finds the endpoint in the Agent document's status. Rejects with a CliError that says why the agent cannot be reached. */
export async function agentEndpoint(
  client: ApiClient,
  agentName: string,
  token: string | undefined,
): Promise<AgentEndpoint> {
  const agent = await client.get(Agent, { name: agentName });
  if (!agent) throw new CliError(`agent "${agentName}" does not exist any more`, EXIT_CODES.notFound.code);
  const endpoint = agent.status?.endpoint;
  if (endpoint?.socketPath && writable(endpoint.socketPath)) return overSocket(endpoint.socketPath);
  if (!endpoint?.url)
    throw new CliError(`agent "${agentName}" does not say where it can be reached`, EXIT_CODES.unreachable.code);
  return overTls(endpoint.url, endpoint.caData, token);
}

function overSocket(socketPath: string): AgentEndpoint {
  return {
    get: (path, signal) =>
      answer(httpRequest({ socketPath, path, headers: { host: 'agent' }, ...(signal ? { signal } : {}) })),
    send: (method, path, body) =>
      answer(httpRequest({ socketPath, path, method, headers: { host: 'agent', ...typeOf(body) } }), body),
    put: (path, body) => answer(httpRequest({ socketPath, path, method: 'PUT', headers: { host: 'agent' } }), body),
    webSocket: (path, protocols) =>
      new WebSocket(`ws+unix://${socketPath}:${path}`, protocols, { perMessageDeflate: false }),
  };
}

function overTls(url: string, caData: string | undefined, token: string | undefined): AgentEndpoint {
  const base = new URL(url);
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  const tls = caData ? { ca: Buffer.from(caData, 'base64'), servername: '', checkServerIdentity: () => undefined } : {};
  const { hostname: host, port } = base;
  return {
    get: (path, signal) => answer(httpsRequest({ host, port, path, headers, ...tls, ...(signal ? { signal } : {}) })),
    send: (method, path, body) =>
      answer(httpsRequest({ host, port, path, method, headers: { ...headers, ...typeOf(body) }, ...tls }), body),
    put: (path, body) => answer(httpsRequest({ host, port, path, method: 'PUT', headers, ...tls }), body),
    webSocket: (path, protocols) =>
      new WebSocket(`wss://${base.host}${path}`, protocols, { headers, ...tls, perMessageDeflate: false }),
  };
}

function typeOf(body: unknown): Record<string, string> {
  return body === undefined ? {} : { 'content-type': 'application/json' };
}

/** A stream is sent as it is, anything else as JSON. */
function answer(request: ClientRequest, body?: unknown): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', () => {}); // after the answer: it has said more
    request.once('error', (cause) =>
      reject(new CliError(`the agent cannot be reached: ${cause.message}`, EXIT_CODES.unreachable.code, { cause })),
    );
    request.once('response', (response) => {
      if (response.statusCode === 200) return resolve(response);
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        reject(
          new CliError(
            messageOf(text) ?? `the agent answered ${response.statusCode}`,
            response.statusCode === 404 ? EXIT_CODES.notFound.code : EXIT_CODES.failed.code,
          ),
        ),
      );
    });
    if (body instanceof Readable) body.on('error', (error) => request.destroy(error)).pipe(request);
    else request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function messageOf(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { message?: string }).message;
  } catch {
    return body.trim() || undefined;
  }
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
