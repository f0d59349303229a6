/** The Kubernetes API as controllers, agents and the CLI use it: typed, small, and the same for the embedded and a genuine API server. */

import type { ObjectMeta } from '../../../crds/types.generated.ts';

export type { ObjectMeta, OwnerReference } from '../../../crds/types.generated.ts';

export interface ApiObject {
  apiVersion?: string;
  kind?: string;
  metadata?: ObjectMeta;
}

/** Names a resource type; the type parameter is the document it holds. Constants for our kinds and the built-in ones are in resources.ts. */
export interface Resource<T extends ApiObject> {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never present at run time; ties T to the constant. */
  readonly _type?: T;
}

export interface ObjectKey {
  /** Empty or absent for cluster-scoped kinds. */
  namespace?: string;
  name: string;
}

export interface ListOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
}

export interface ObjectList<T> {
  items: T[];
  metadata: { resourceVersion: string; continue?: string };
}

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: { metadata: { resourceVersion: string; annotations?: Record<string, string> } } }
  | { type: 'ERROR'; object: { code?: number; reason?: string; message?: string } };

export interface WatchOptions extends ListOptions {
  timeoutSeconds?: number;
  signal: AbortSignal;
}

export type JsonPatch = { op: 'add' | 'remove' | 'replace' | 'test'; path: string; value?: unknown }[];

/** Every call rejects with ApiStatusError ({code, reason, message, status}) when the server answers with an error. */
export interface ApiClient {
  /** undefined on 404. */
  get<T extends ApiObject>(resource: Resource<T>, key: ObjectKey): Promise<T | undefined>;
  list<T extends ApiObject>(resource: Resource<T>, options?: ListOptions): Promise<ObjectList<T>>;
  create<T extends ApiObject>(resource: Resource<T>, object: T): Promise<T>;
  update<T extends ApiObject>(resource: Resource<T>, object: T): Promise<T>;
  updateStatus<T extends ApiObject>(resource: Resource<T>, object: T): Promise<T>;
  mergePatch<T extends ApiObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: unknown,
    subresource?: 'status' | 'scale',
  ): Promise<T>;
  jsonPatch<T extends ApiObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: JsonPatch,
    subresource?: 'status',
  ): Promise<T>;
  /** Resolves when the server accepted the deletion; a missing object is not an error (returns false). */
  delete<T extends ApiObject>(
    resource: Resource<T>,
    key: ObjectKey,
    options?: { uid?: string; propagationPolicy?: 'Foreground' | 'Background' | 'Orphan'; gracePeriodSeconds?: number },
  ): Promise<boolean>;
  watch<T extends ApiObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** For paths outside resources (/version, /readyz, tokenreviews, manifests of unknown kinds). */
  raw(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: unknown }>;
  /** Calls the listener after each request, for metrics; returns a function that ends the subscription. */
  onRequest(listener: RequestListener): () => void;
  close(): Promise<void>;
}

export type RequestListener = (request: {
  /** Kubernetes verb: get, list, watch, create, update, patch, delete. */
  verb: string;
  method: string;
  /** HTTP status, or `<error>` where there was no answer. */
  code: string;
  host: string;
  seconds: number;
}) => void;
