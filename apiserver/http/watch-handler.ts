import type { ResourceContext } from '../resources/context.ts';
import type { ResourceDefinition } from '../resources/definition.ts';
import { parseRevision } from '../resources/list.ts';
import type { WatchHub } from '../watch/hub.ts';
import { type ActiveWatch, errorEvent, startWatch, type WatchRequest, type WatchSettings } from '../watch/watch.ts';
import { ApiError, badRequest } from './errors.ts';
import { negotiate, representationOf } from './negotiation.ts';
import { booleanOf, watchTimeoutMs } from './query.ts';
import { includeObjectOf, selectionOf } from './resource-handler.ts';
import type { ResourceRequest } from './resource-request.ts';

/** The watches that are open, so that they can be ended when the server stops or their resource is no longer served. */
export class OpenWatches {
  readonly #watches = new Map<ActiveWatch, ResourceDefinition>();

  get size(): number {
    return this.#watches.size;
  }

  add(watch: ActiveWatch, definition: ResourceDefinition): () => void {
    this.#watches.set(watch, definition);
    return () => this.#watches.delete(watch);
  }

  endAll(): void {
    for (const watch of [...this.#watches.keys()]) watch.end();
  }

  /** A definition that was replaced has new columns or versions: the client comes back and gets them. */
  endUnless(isServed: (definition: ResourceDefinition) => boolean): void {
    for (const [watch, definition] of [...this.#watches]) if (!isServed(definition)) watch.end();
  }
}

/** Serves a watch. Errors of the request itself are thrown before anything is sent; an expired start is an ERROR event, as in the genuine server. */
export function serveWatch(
  context: ResourceContext,
  hub: WatchHub,
  open: OpenWatches,
  request: ResourceRequest,
  settings: WatchSettings,
): void {
  const watchRequest = readWatchRequest(request, context.store.revision);
  const { response } = request;
  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' });
  response.flushHeaders();
  try {
    const watch = startWatch(context.store, hub, watchRequest, response, settings);
    response.on('close', open.add(watch, request.route.definition));
  } catch (error) {
    response.end(errorEvent(error instanceof ApiError ? error : new ApiError('InternalError')));
  }
}

function readWatchRequest(request: ResourceRequest, newest: number): WatchRequest {
  const { query, route } = request;
  const { definition } = route;
  const form = negotiate(request.http.headers.accept);
  if (form.media === 'yaml') {
    throw new ApiError('NotAcceptable', 'only the following media types are accepted for a watch: application/json');
  }
  const initial = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch');
  if (initial !== null && match !== 'NotOlderThan') {
    throw badRequest(
      'resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    );
  }
  if (initial === null && match) {
    throw badRequest(
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    );
  }
  const from = parseRevision(query.get('resourceVersion') || '0');
  const wantsInitial = initial === 'true' || (initial === null && from === 0);
  return {
    selection: selectionOf(request),
    representation: representationOf(definition, form, includeObjectOf(query)),
    kind:
      form.as === undefined
        ? {
            apiVersion: definition.group ? `${definition.group}/${definition.version}` : definition.version,
            kind: definition.kind,
          }
        : { apiVersion: 'meta.k8s.io/v1', kind: form.as },
    ...(!wantsInitial && { fromRevision: from === 0 ? newest : from }),
    bookmarks: booleanOf(query, 'allowWatchBookmarks'),
    markInitialEnd: initial === 'true',
    timeoutMs: watchTimeoutMs(query),
  };
}
