import type { ApiClient, ApiObject, ListOptions, ObjectKey, ObjectList, Resource, WatchOptions } from './client.ts';
import type { ClusterConfig } from './cluster-config.ts';
import { createConnections } from './connections.ts';
import { ApiStatusError } from './errors.ts';
import { collectionPath, listQuery, objectPath, withQuery } from './paths.ts';
import { statusError, Transport } from './transport.ts';
import { watchStream } from './watch-stream.ts';

export interface ApiClientOptions {
  /** Sent as User-Agent. Default: `tepui`. */
  userAgent?: string;
  /** Owner of the fields we write, as shown in managedFields. Default: the user agent's first word. */
  fieldManager?: string;
  /** Limit for a whole request with its retries excluded; watches have none. Default: 30000. */
  requestTimeoutMs?: number;
  /** Sockets for requests (each watch has one more of its own). Default: 8. */
  connections?: number;
}

const MERGE_PATCH = 'application/merge-patch+json';
const JSON_PATCH = 'application/json-patch+json';

/** A client of one API server. Nothing is connected before the first call. */
export function createApiClient(config: ClusterConfig, options: ApiClientOptions = {}): ApiClient {
  const userAgent = options.userAgent ?? 'tepui';
  const fieldManager = options.fieldManager ?? userAgent.split(/[/ ]/)[0]!;
  const connections = createConnections(config, options.connections ?? 8);
  const transport = new Transport(connections, {
    prefix: new URL(config.server).pathname.replace(/\/+$/, ''),
    userAgent,
    host: new URL(config.server).host,
    timeoutMs: options.requestTimeoutMs ?? 30_000,
  });
  const written = (path: string) => withQuery(path, { fieldManager });

  return {
    async get<T extends ApiObject>(resource: Resource<T>, key: ObjectKey) {
      try {
        return await transport.json<T>('get', 'GET', objectPath(resource, key));
      } catch (error) {
        // A 404 that is no Status document means that the server does not know the resource: hiding that would read as "deleted".
        if (error instanceof ApiStatusError && error.code === 404 && error.status.kind === 'Status') return undefined;
        throw error;
      }
    },
    async list<T extends ApiObject>(resource: Resource<T>, query: ListOptions = {}) {
      const path = withQuery(collectionPath(resource, query.namespace), listQuery(query));
      const list = await transport.json<ObjectList<T>>('list', 'GET', path);
      return { metadata: list.metadata, items: named(resource, list.items ?? []) };
    },
    create<T extends ApiObject>(resource: Resource<T>, object: T) {
      const namespace = object.metadata?.namespace;
      if (resource.namespaced && !namespace) throw new TypeError(`a namespace is needed to create a ${resource.kind}`);
      return transport.json<T>('create', 'POST', written(collectionPath(resource, namespace)), typed(resource, object));
    },
    update<T extends ApiObject>(resource: Resource<T>, object: T) {
      return transport.json<T>('update', 'PUT', written(objectPath(resource, keyOf(object))), typed(resource, object));
    },
    updateStatus<T extends ApiObject>(resource: Resource<T>, object: T) {
      return transport.json<T>(
        'update',
        'PUT',
        written(objectPath(resource, keyOf(object), 'status')),
        typed(resource, object),
      );
    },
    mergePatch<T extends ApiObject>(
      resource: Resource<T>,
      key: ObjectKey,
      patch: unknown,
      subresource?: 'status' | 'scale',
    ) {
      return transport.json<T>('patch', 'PATCH', written(objectPath(resource, key, subresource)), patch, MERGE_PATCH);
    },
    jsonPatch<T extends ApiObject>(resource: Resource<T>, key: ObjectKey, patch: unknown, subresource?: 'status') {
      return transport.json<T>('patch', 'PATCH', written(objectPath(resource, key, subresource)), patch, JSON_PATCH);
    },
    async delete(resource, key, deletion = {}) {
      const { uid, ...rest } = deletion;
      const body = { kind: 'DeleteOptions', apiVersion: 'v1', ...rest, ...(uid ? { preconditions: { uid } } : {}) };
      try {
        await transport.json('delete', 'DELETE', objectPath(resource, key), body);
        return true;
      } catch (error) {
        if (error instanceof ApiStatusError && error.code === 404) return false;
        throw error;
      }
    },
    async *watch<T extends ApiObject>(resource: Resource<T>, watch: WatchOptions) {
      const path = withQuery(collectionPath(resource, watch.namespace), {
        ...listQuery({ ...watch, limit: undefined, continue: undefined }),
        watch: 'true',
        allowWatchBookmarks: 'true',
        timeoutSeconds: watch.timeoutSeconds?.toString(),
      });
      const request = transport.request('GET', path);
      yield* watchStream<T>(await connections.streams(), request, watch.signal, (status, headers, body) => {
        transport.observe('watch', 'GET', status, 0);
        return statusError(request, { status, headers, body });
      });
    },
    raw(method, path, body, headers) {
      return transport.raw(method, path, body, headers);
    },
    onRequest(listener) {
      transport.listeners.add(listener);
      return () => transport.listeners.delete(listener);
    },
    close: () => connections.close(),
  };
}

function keyOf(object: ApiObject): ObjectKey {
  return { namespace: object.metadata?.namespace, name: object.metadata?.name ?? '' };
}

function apiVersionOf(resource: Resource<ApiObject>): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** Adds apiVersion and kind, which callers may leave out. */
function typed<T extends ApiObject>(resource: Resource<T>, object: T): T {
  if (object.apiVersion && object.kind) return object;
  return { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind };
}

/** The built-in kinds of a genuine server come without apiVersion and kind in lists. */
function named<T extends ApiObject>(resource: Resource<T>, items: T[]): T[] {
  return items.length === 0 || items[0]!.kind ? items : items.map((item) => typed(resource, item));
}
