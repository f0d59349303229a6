/**
 * The agent's own small server: tasks, logs, sandboxes, statistics, sessions in containers, health, metrics. On a Unix socket that only root can open, and, if wanted, on
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
import { Unsupported } from '../../containerizers/unsupported.ts';
import type { Images } from '../../images/index.ts';
import { SandboxPathRefused } from '../sandbox/locate.ts';
import type { Authorizer, Verdict } from './authorize.ts';
import { endpointCertificate } from './certificate.ts';
import { CHANNEL_PROTOCOLS } from './channels.ts';
import { parseCopyQuery, receiveFiles, sendFiles } from './files.ts';
import { serveImages } from './images.ts';
import { BadQuery, parseLogQuery, sendLog } from './logs.ts';
import { accessFor, isSession, matchRoute, type Route, type TaskName } from './routes.ts';
import { sendSandbox } from './sandbox.ts';
import { prepareSession } from './sessions.ts';
import { readStatistics } from './statistics.ts';
import {
  type EndpointContainer,
  NotHere,
  requestedContainer,
  runningContainer,
  shownTask,
  type TasksSource,
} from './tasks-source.ts';

export interface EndpointOptions {
  agentName: string;
  socketPath: string;
  /** Where its certificate is kept. */
  stateDirectory: string;
  /** undefined: no TCP. */
  tcp: { host: string; port: number } | undefined;
  tasks: TasksSource;
  images: Images;
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
    handleProtocols: (offered) => CHANNEL_PROTOCOLS.find((name) => offered.has(name)) ?? false,
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
    const attributes = accessFor(route, options.agentName, request.method);
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
      const status = statusOf(error);
      if (response.headersSent) return void response.destroy();
      if (status !== 500) return sendProblem(response, status, (error as Error).message);
      options.logger.error({ err: error, address: pathOf(request) }, 'a request to the agent failed');
      sendProblem(response, 500, 'the agent could not answer; its log says why');
    });
  });
  server.on('upgrade', (request, socket, head) => {
    // A client that goes while we look is no error of ours.
    socket.on('error', () => {});
    upgrade(request, socket, head, options, sockets, authorize).catch((error: unknown) => {
      refuseUpgrade(socket, statusOf(error), error instanceof Error ? error.message : String(error));
    });
  });
}

function statusOf(error: unknown): number {
  if (error instanceof BadQuery) return 400;
  if (error instanceof NotHere) return 404;
  if (error instanceof Unsupported) return 501;
  return error instanceof SandboxPathRefused ? error.status : 500;
}

/** Without the query: it may hold a command with a secret in it. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?')[0]!;
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
  if (isSession(route)) return sendProblem(response, 426, `${route.kind} needs a WebSocket`);
  const isChange = route.kind === 'images' || (route.kind === 'files' && request.method === 'PUT');
  if (request.method !== 'GET' && !isChange) return sendProblem(response, 405, `${request.method} is not done here`);
  const verdict = await authorize(request, route);
  if (!verdict.allowed) return sendProblem(response, verdict.status, verdict.message);
  const { tasks, metrics } = options;
  const container = url.searchParams.get('container');
  switch (route.kind) {
    case 'health':
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
      return;
    case 'metrics':
      response.writeHead(200, { 'content-type': metrics.contentType }).end(await metrics.metrics());
      return;
    case 'tasks':
      return sendJson(response, { items: tasks.list().map(shownTask) });
    case 'stats':
      return sendStatistics(response, tasks, route, container);
    case 'images':
      return serveImages(route, request, response, url.searchParams, options.images);
    case 'logs': {
      const query = parseLogQuery(url.searchParams);
      const found = requestedContainer(tasks, route.task, container);
      return sendLog({ ...found, sandbox: sandboxOf(found, route.task) }, query, response);
    }
    case 'files':
      return copyFiles(request, response, tasks, route.task, url.searchParams);
    case 'sandbox': {
      const sandbox = sandboxOf(requestedContainer(tasks, route.task, container), route.task);
      return sendSandbox(route.action, sandbox, url.searchParams, response);
    }
  }
}

async function copyFiles(
  request: IncomingMessage,
  response: ServerResponse,
  tasks: TasksSource,
  task: TaskName,
  query: URLSearchParams,
): Promise<void> {
  const isPut = request.method === 'PUT';
  const copy = parseCopyQuery(query, isPut ? 'receive' : 'send');
  const { containerId } = runningContainer(tasks, task, query.get('container'));
  const session = await tasks.copy({ containerId, ...copy });
  return isPut ? receiveFiles(session, request, response) : sendFiles(session, response);
}

function sandboxOf({ sandbox }: EndpointContainer, { namespace, name }: TaskName): string {
  if (sandbox === undefined) throw new NotHere(`task ${namespace}/${name} is not running`);
  return sandbox;
}

/** Of one task: its (first) container, and all of them in `containers`. */
async function sendStatistics(
  response: ServerResponse,
  tasks: TasksSource,
  route: Route & { kind: 'stats' },
  container: string | null,
): Promise<void> {
  if (route.task === undefined) return sendJson(response, { items: await readStatistics(tasks, tasks.list()) });
  const { containerId } = runningContainer(tasks, route.task, container);
  const containers = await readStatistics(tasks, [tasks.find(route.task.namespace, route.task.name)!]);
  const found = containers.find((each) => each.containerId === containerId);
  if (found === undefined) throw new NotHere(`task ${route.task.namespace}/${route.task.name} is not running`);
  return sendJson(response, container === null ? { ...found, containers } : found);
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
  if (route === undefined || !isSession(route)) throw new NotHere(`no WebSocket at ${url.pathname}`);
  const verdict = await authorize(request, route);
  if (!verdict.allowed) return refuseUpgrade(socket, verdict.status, verdict.message);
  const begin = prepareSession(options.tasks, route, url.searchParams);
  sockets.handleUpgrade(request, socket, head, (client) => {
    // What the client sends before the session is there must wait for it.
    client.pause();
    begin(client);
  });
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
