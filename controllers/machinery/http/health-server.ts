import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Resolves if healthy; rejects with the reason if not. */
export type HealthCheck = () => void | Promise<void>;

export interface HealthServerOptions {
  /** Default: 127.0.0.1. */
  host?: string;
  /** 0 takes a free one. */
  port: number;
  healthChecks: ReadonlyMap<string, HealthCheck>;
  readyChecks: ReadonlyMap<string, HealthCheck>;
  /** The text of /metrics. */
  metrics: () => Promise<string>;
}

/**
 * Serves /healthz, /readyz (each also with a check's name behind it, `?verbose` and `?exclude=name`) and /metrics. Machines read only the
 * status code.
 */
export async function startHealthServer(
  options: HealthServerOptions,
): Promise<{ address: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error) => {
      response.writeHead(500, { 'content-type': 'text/plain' }).end(`${(error as Error).message}\n`);
    });
  });
  await listen(server, options.port, options.host ?? '127.0.0.1');
  const { address, port, family } = server.address() as AddressInfo;
  return {
    address: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(options: HealthServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const [, endpoint, name, ...rest] = url.pathname.split('/');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
  } else if (endpoint === 'metrics' && name === undefined) {
    response
      .writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
      .end(await options.metrics());
  } else if ((endpoint === 'healthz' || endpoint === 'readyz' || endpoint === 'livez') && rest.length === 0) {
    await answerChecks(
      endpoint === 'readyz' ? options.readyChecks : options.healthChecks,
      endpoint,
      name || undefined,
      url,
      response,
    );
  } else {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
  }
}

async function answerChecks(
  checks: ReadonlyMap<string, HealthCheck>,
  endpoint: string,
  only: string | undefined,
  url: URL,
  response: ServerResponse,
): Promise<void> {
  const excluded = new Set(url.searchParams.getAll('exclude'));
  const chosen = [...checks].filter(([name]) => (only === undefined ? !excluded.has(name) : name === only));
  if (only !== undefined && chosen.length === 0) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
    return;
  }
  const lines: string[] = [];
  let isOk = true;
  for (const [name, check] of chosen) {
    try {
      await check();
      lines.push(`[+]${name} ok`);
    } catch (error) {
      isOk = false;
      lines.push(`[-]${name} failed: ${(error as Error).message}`);
    }
  }
  lines.push(isOk ? `${endpoint} check passed` : `${endpoint} check failed`);
  const body = !isOk || url.searchParams.has('verbose') ? `${lines.join('\n')}\n` : 'ok';
  response.writeHead(isOk ? 200 : 500, { 'content-type': 'text/plain; charset=utf-8' }).end(body);
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
