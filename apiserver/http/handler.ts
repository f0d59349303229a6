import type { Logger } from 'pino';
import type { Authenticator } from '../auth/tokens.ts';
import type { DocumentHandler } from '../discovery/discovery.ts';
import type { ResourceContext } from '../resources/context.ts';
import type { UserInfo } from '../resources/definition.ts';
import type { WatchHub } from '../watch/hub.ts';
import type { WatchSettings } from '../watch/watch.ts';
import { ApiError } from './errors.ts';
import type { ApiRequest, ApiResponse } from './exchange.ts';
import { answerHealth, type HealthChecks } from './health.ts';
import type { ApiMetrics } from './metrics.ts';
import { negotiate } from './negotiation.ts';
import { answerResource } from './resource-handler.ts';
import { verbOf } from './resource-request.ts';
import { type Answer, errorAnswer, sendAnswer } from './respond.ts';
import { type ResourceRoute, routeResource } from './route.ts';
import { type OpenWatches, serveWatch } from './watch-handler.ts';

export interface HandlerParts {
  context: ResourceContext;
  hub: WatchHub;
  watches: OpenWatches;
  watchSettings: WatchSettings;
  authenticator: Authenticator;
  /** Discovery and OpenAPI, asked in this order. */
  documents: DocumentHandler[];
  health: HealthChecks;
  metrics: ApiMetrics;
  /** The server is stopping: only health is answered. */
  isClosing: () => boolean;
  logger: Logger;
}

/** Paths that tell nothing and may be asked by anybody: load balancers and probes have no token. */
const openPaths = /^\/(livez|readyz|healthz|version)(\/|$)/;

/** A request on its way, for metrics and the log. */
interface Progress {
  verb: string;
  route?: ResourceRoute;
  user?: UserInfo;
}

/** The way of every request: who, what, answer; and one place that turns errors into a Status. */
export function createHandler(parts: HandlerParts): {
  handle: (request: ApiRequest, response: ApiResponse) => void;
  inFlight: () => number;
} {
  let inFlight = 0;
  const handle = (request: ApiRequest, response: ApiResponse) => {
    const start = performance.now();
    const progress: Progress = { verb: (request.method ?? '').toLowerCase() };
    inFlight += 1;
    response.once('close', () => {
      if (progress.verb !== 'watch') inFlight -= 1;
      report(parts, request, response, progress, performance.now() - start);
    });
    answer(parts, request, response, progress)
      .catch((error: unknown) => errorAnswer(asApiError(parts, request, error)))
      .then((result) => {
        if (progress.verb === 'watch') inFlight -= 1;
        return result && send(parts, request, response, result);
      })
      .catch((error: unknown) => {
        parts.logger.error({ err: error, url: request.url }, 'answer could not be sent');
        response.destroy();
      });
  };
  return { handle, inFlight: () => inFlight };
}

/** Undefined when the response is a watch, which answers by itself. */
async function answer(
  parts: HandlerParts,
  request: ApiRequest,
  response: ApiResponse,
  progress: Progress,
): Promise<Answer | undefined> {
  const { path, query } = splitUrl(request.url ?? '/');
  if (!openPaths.test(path)) progress.user = authenticate(parts.authenticator, request);
  if (parts.isClosing() && !openPaths.test(path)) throw new ApiError('ServiceUnavailable', 'the server is stopping');
  const route = routeResource(parts.context.registry, path);
  if (route === undefined || progress.user === undefined) return answerOther(parts, request, path, query);

  progress.route = route;
  const verb = verbOf(request.method, route, query);
  if (verb === undefined) throw new ApiError('MethodNotAllowed');
  progress.verb = verb;
  requireServed(route, verb);
  const resourceRequest = { route, verb, query, user: progress.user, http: request, response };
  if (verb !== 'watch') return answerResource(parts.context, resourceRequest);
  serveWatch(parts.context, parts.hub, parts.watches, resourceRequest, parts.watchSettings);
  return undefined;
}

async function answerOther(
  parts: HandlerParts,
  request: ApiRequest,
  path: string,
  query: URLSearchParams,
): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new ApiError('MethodNotAllowed');
  const health = answerHealth(parts.health, path, query);
  if (health) return health;
  if (path === '/metrics') return parts.metrics.answer();
  if (path === '/' || path === '') return rootPaths();
  for (const handler of parts.documents) {
    const document = handler(path, request.headers.accept, query, request.headers['if-none-match']);
    if (document === undefined) continue;
    const body = typeof document.body === 'string' ? Buffer.from(document.body) : document.body;
    return { status: document.status, json: [body], headers: canonical(document.headers) };
  }
  negotiate(request.headers.accept);
  throw new ApiError('NotFound');
}

function rootPaths(): Answer {
  const paths = [
    '/api',
    '/api/v1',
    '/apis',
    '/healthz',
    '/livez',
    '/metrics',
    '/openapi/v2',
    '/openapi/v3',
    '/readyz',
    '/version',
  ];
  return { status: 200, json: [Buffer.from(JSON.stringify({ paths }))] };
}

/** `content-type` as `Content-Type`: the answer's defaults are found under this spelling. */
function canonical(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.replace(/(^|-)[a-z]/g, (part) => part.toUpperCase()), value]),
  );
}

function splitUrl(url: string): { path: string; query: URLSearchParams } {
  const mark = url.indexOf('?');
  if (mark < 0) return { path: url, query: new URLSearchParams() };
  return { path: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1)) };
}

function authenticate(authenticator: Authenticator, request: ApiRequest): UserInfo {
  const match = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '');
  const user = match ? authenticator.userOf(match[1]!) : undefined;
  if (user === undefined) throw new ApiError('Unauthorized');
  return user;
}

function requireServed({ definition, subresource }: ResourceRoute, verb: string): void {
  if (subresource !== undefined) {
    const isNamespace = definition.group === '' && definition.plural === 'namespaces';
    const served =
      (subresource === 'status' && definition.status) ||
      (subresource === 'scale' && definition.scale !== undefined) ||
      (subresource === 'finalize' && isNamespace);
    if (!served) throw new ApiError('NotFound');
    if (verb !== 'get' && verb !== 'update' && verb !== 'patch') throw new ApiError('MethodNotAllowed');
  } else if (!definition.verbs.includes(verb)) throw new ApiError('MethodNotAllowed');
}

async function send(parts: HandlerParts, request: ApiRequest, response: ApiResponse, result: Answer): Promise<void> {
  // The next request would stand behind the rest of a body that nobody reads.
  if (parts.isClosing() || !request.complete) response.setHeader('Connection', 'close');
  await sendAnswer(request, response, result);
}

/** A RangeError is a value too deep for recursion; everything else unknown is a fault of ours, and its text is not for the client. */
function asApiError(parts: HandlerParts, request: ApiRequest, error: unknown): ApiError {
  if (error instanceof ApiError) {
    if (error.httpStatus >= 500) parts.logger.warn({ err: error, url: request.url }, 'request failed');
    return error;
  }
  parts.logger.error({ err: error, method: request.method, url: request.url }, 'request failed unexpectedly');
  return new ApiError('InternalError');
}

function report(
  parts: HandlerParts,
  request: ApiRequest,
  response: ApiResponse,
  { verb, route, user }: Progress,
  durationMs: number,
): void {
  parts.metrics.finished({
    verb,
    group: route?.definition.group ?? '',
    version: route?.definition.version ?? '',
    resource: route?.definition.plural ?? '',
    subresource: route?.subresource ?? '',
    scope:
      route === undefined
        ? ''
        : route.name !== undefined
          ? 'resource'
          : route.namespace !== undefined
            ? 'namespace'
            : 'cluster',
    code: response.statusCode,
    durationSeconds: durationMs / 1000,
  });
  if (!parts.logger.isLevelEnabled('debug')) return;
  parts.logger.debug(
    { method: request.method, url: request.url, user: user?.username, status: response.statusCode, durationMs },
    'request served',
  );
}
