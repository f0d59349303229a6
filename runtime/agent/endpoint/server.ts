/**
 * The agent's own small server: tasks, logs, statistics, exec, health, metrics. On a Unix socket that only root can open, and, if wanted, on
 * TCP with TLS where the API server decides who may do what.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Registry } from 'prom-client';
import { WebSocketServer } from 'ws';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import type { Authorizer, Verdict } from './authorize.ts';
import { endpointCertificate } from './certificate.ts';
import { EXEC_PROTOCOLS, parseExecQuery, refuseExec, serveExec } from './exec.ts';
import { BadQuery, parseLogQuery, sendLog } from './logs.ts';
import { accessFor, matchRoute, type Route } from './routes.ts';
import { readStatistics } from './statistics.ts';
import { shownTask, type TasksSource } from './tasks-source.ts';

export interface EndpointOptions {
  agentName: string;
  socketPath: string;
  /** Where its certificate is kept. */
  stateDirectory: string;
  /** undefined: no TCP. */
  tcp: { host: string; port: number } | undefined;
  tasks: TasksSource;
  metrics: Registry;
  authorizer: Authorizer;
  logger: Logger;
}

export interface Endpoint {
  url: string | undefined;
  /** The certificate to trust for `url`, base64 of PEM. */
  caData: string | undefined;
  close(): Promise<void>;
}

type Authorize = (request: IncomingMessage, route: Route) => Promise<Verdict>;

/** Listens. A stale socket file of an agent that was killed is replaced: the instance lock has made sure that nobody uses it. */
export async function startEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: 4 * 1024 * 1024,
    handleProtocols: (offered) => EXEC_PROTOCOLS.find((name) => offered.has(name)) ?? false,
  });
  const local = createHttpServer();
  attach(local, options, sockets, async () => ({ allowed: true }));
  await rm(options.socketPath, { force: true });
  await listen(local, { path: options.socketPath });
  await chmod(options.socketPath, 0o600);
  const remote = options.tcp && (await startRemote(options, sockets, options.tcp));
  return {
    url: remote?.url,
    caData: remote && Buffer.from(remote.cert).toString('base64'),
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      await Promise.all([closeServer(local), remote && closeServer(remote.server)]);
    },
  };
}

async function startRemote(options: EndpointOptions, sockets: WebSocketServer, tcp: { host: string; port: number }) {
  const { cert, key } = await endpointCertificate(
    options.stateDirectory,
    options.agentName,
    [...new Set([tcp.host, 'localhost', '127.0.0.1'])],
    new Date(),
  );
  const server = createHttpsServer({ cert, key, minVersion: 'TLSv1.2' });
  attach(server, options, sockets, (request, route) => {
    const attributes = accessFor(route, options.agentName);
    if (attributes === undefined) return Promise.resolve({ allowed: true });
    return options.authorizer.authorize(request.headers.authorization, attributes);
  });
  await listen(server, tcp);
  const { port } = server.address() as AddressInfo;
  const host = tcp.host.includes(':') ? `[${tcp.host}]` : tcp.host;
  return { server, cert, url: `https://${host}:${port}` };
}

function attach(server: Server, options: EndpointOptions, sockets: WebSocketServer, authorize: Authorize): void {
  server.on('request', (request, response) => {
    handle(request, response, options, authorize).catch((error: unknown) => {
      if (error instanceof BadQuery) return sendProblem(response, 400, error.message);
      options.logger.error({ err: error, address: request.url }, 'a request to the agent failed');
      if (response.headersSent) response.destroy();
      else sendProblem(response, 500, 'the agent could not answer; its log says why');
    });
  });
  server.on('upgrade', (request, socket, head) => {
    upgrade(request, socket, head, options, sockets, authorize).catch((error: unknown) => {
      refuseUpgrade(
        socket,
        error instanceof BadQuery ? 400 : 500,
        error instanceof Error ? error.message : String(error),
      );
    });
  });
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  options: EndpointOptions,
  authorize: Authorize,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://agent');
  const route = matchRoute(url.pathname);
  if (route === undefined) return sendProblem(response, 404, `there is nothing at ${url.pathname}`);
  if (route.kind === 'exec') return sendProblem(response, 426, 'exec needs a WebSocket');
  if (request.method !== 'GET') return sendProblem(response, 405, 'only GET');
  const verdict = await authorize(request, route);
  if (!verdict.allowed) return sendProblem(response, verdict.status, verdict.message);
  switch (route.kind) {
    case 'health':
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
      return;
    case 'metrics':
      response.writeHead(200, { 'content-type': options.metrics.contentType }).end(await options.metrics.metrics());
      return;
    case 'tasks':
      return sendJson(response, { items: options.tasks.list().map(shownTask) });
    case 'stats':
      return sendStatistics(response, options.tasks, route);
    case 'logs': {
      const query = parseLogQuery(url.searchParams);
      const task = options.tasks.find(route.task.namespace, route.task.name);
      if (task?.sandbox === undefined) return sendProblem(response, 404, unknownTask(route.task, task !== undefined));
      return sendLog({ ...task, sandbox: task.sandbox }, query, response);
    }
  }
}

async function sendStatistics(
  response: ServerResponse,
  tasks: TasksSource,
  route: Route & { kind: 'stats' },
): Promise<void> {
  if (route.task === undefined) return sendJson(response, { items: await readStatistics(tasks, tasks.list()) });
  const task = tasks.find(route.task.namespace, route.task.name);
  if (!task?.isRunning) return sendProblem(response, 404, unknownTask(route.task, task !== undefined));
  const [statistics] = await readStatistics(tasks, [task]);
  if (statistics === undefined) return sendProblem(response, 404, unknownTask(route.task, true));
  return sendJson(response, statistics);
}

async function upgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: EndpointOptions,
  sockets: WebSocketServer,
  authorize: Authorize,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://agent');
  const route = matchRoute(url.pathname);
  if (route?.kind !== 'exec') return refuseUpgrade(socket, 404, `no WebSocket at ${url.pathname}`);
  const verdict = await authorize(request, route);
  if (!verdict.allowed) return refuseUpgrade(socket, verdict.status, verdict.message);
  const query = parseExecQuery(url.searchParams);
  const task = options.tasks.find(route.task.namespace, route.task.name);
  if (!task?.isRunning || task.containerId === undefined)
    return refuseUpgrade(socket, 404, unknownTask(route.task, task !== undefined));
  const { containerId } = task;
  sockets.handleUpgrade(request, socket, head, (client) => {
    // What the client sends before the session is there must wait for it.
    client.pause();
    options.tasks.exec({ containerId, ...query }).then(
      (session) => serveExec(client, session),
      (error: unknown) => refuseExec(client, error),
    );
  });
}

function unknownTask({ namespace, name }: { namespace: string; name: string }, isKnown: boolean): string {
  return isKnown ? `task ${namespace}/${name} is not running` : `task ${namespace}/${name} is not on this agent`;
}

function refuseUpgrade(socket: Duplex, status: number, message: string): void {
  const body = JSON.stringify({ message });
  const head = [
    `HTTP/1.1 ${status} Refused`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function sendProblem(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ message }));
}

function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function listen(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
