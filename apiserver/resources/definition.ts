/**
 * What the REST handlers know of one resource, whether it is built in or was created by a CustomResourceDefinition.
 * The handlers are generic: everything that differs between kinds is data or a function here.
 */

/** Any Kubernetes object. Only `apiVersion`, `kind` and `metadata` are looked at by the generic code. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

export interface ObjectMeta {
  name: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  managedFields?: unknown[];
  [field: string]: unknown;
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** A JSON Schema (OpenAPI v3 flavour, with the x-kubernetes-* extensions) as plain data. */
export type OpenApiSchema = Record<string, unknown>;

/**
 * How one definition sees objects that are stored in another form: events as core/v1 and events.k8s.io/v1, or the versions of a CRD.
 * Definitions with the same `key` serve the same objects. Both functions are pure and return the same reference when nothing changes.
 */
export interface StorageView {
  key: string;
  toStored: (object: KubernetesObject) => KubernetesObject;
  fromStored: (object: KubernetesObject) => KubernetesObject;
}

/** Who makes a request. */
export interface UserInfo {
  username: string;
  uid?: string;
  groups: string[];
}

export type Operation = 'create' | 'update' | 'updateStatus';
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

export interface AdmissionContext {
  operation: Operation;
  /** The stored object, absent on create. */
  existing?: KubernetesObject;
  fieldValidation: FieldValidation;
}

export interface Admitted {
  object: KubernetesObject;
  /** Sent to the client as `Warning: 299` headers. */
  warnings: string[];
}

export interface PrinterColumn {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  format?: string;
  description?: string;
  /** 0 is shown always, above 0 only with `-o wide`. */
  priority?: number;
  /** A cell: from a JSONPath for CRDs, from a function for built-in kinds. */
  cell: (object: KubernetesObject) => unknown;
}

export interface ScaleSubresource {
  specReplicasPath: string;
  statusReplicasPath: string;
  labelSelectorPath?: string;
}

export interface ResourceDefinition {
  group: string;
  version: string;
  plural: string;
  singular: string;
  kind: string;
  listKind: string;
  namespaced: boolean;
  shortNames: string[];
  categories: string[];
  verbs: readonly string[];
  /** Whether `/status` exists; if so the main resource ignores `status` and `/status` ignores the rest. */
  status: boolean;
  scale?: ScaleSubresource;
  /** JSONPaths usable in `fieldSelector` beside metadata.name and metadata.namespace, for example `.spec.binding.agentName`. */
  selectableFields: string[];
  columns: PrinterColumn[];
  schema: OpenApiSchema;
  /** Merge keys for strategic merge patch by path, only for built-in kinds; CRDs refuse that patch type with 415. */
  strategicMergeKeys?: Record<string, string>;
  /** Whether `metadata.generation` is kept (bumped when anything but metadata and status changes). */
  generation: boolean;
  /** Objects are dropped this long after their last write (events: 1 h). */
  ttlSeconds?: number;
  /** Absent: stored under `<group>/<plural>` as it is. */
  storage?: StorageView;
  /** Answers a create without storing anything (token and access reviews). Such definitions have `verbs: ['create']`. */
  review?: (object: KubernetesObject, user: UserInfo) => KubernetesObject;
  /**
   * Prunes, defaults, validates (schema, CEL, kind-specific rules). Pure; throws ApiError (422 Invalid, 400 for strict unknown fields).
   * Generic metadata rules (names, labels, finalizers, immutable fields) are the handlers' and not repeated here.
   */
  admit: (object: KubernetesObject, context: AdmissionContext) => Admitted;
}

/** All resources that are served now. CRDs add and remove definitions while the server runs. */
export interface ResourceRegistry {
  find(group: string, version: string, plural: string): ResourceDefinition | undefined;
  list(): ResourceDefinition[];
  /** Called after every change; returns a function that ends the subscription. */
  onChange(listener: () => void): () => void;
}
