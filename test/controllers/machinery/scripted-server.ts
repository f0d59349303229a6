import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ApiClientOptions, createApiClient } from '../../../controllers/machinery/client/api-client.ts';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';

export interface ScriptedServer {
  client: ApiClient;
  url: string;
  /** Paths with query of all requests so far. */
  requests: string[];
  stop(): Promise<void>;
}

/** A real HTTP server that misbehaves as told: for what a good API server does not do on demand. */
export async function startScriptedServer(
  answer: (request: IncomingMessage & { url: string }, response: ServerResponse, count: number) => void,
  options: ApiClientOptions = {},
): Promise<ScriptedServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    answer(request as IncomingMessage & { url: string }, response, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createApiClient({ server: url }, options);
  return {
    client,
    url,
    requests,
    async stop() {
      await client.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export function failure(code: number, reason: string, message = reason) {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}
