import type { FieldValidation, KubernetesObject, ResourceDefinition } from './definition.ts';

/** Names one object; `namespace` is absent for cluster-scoped kinds. */
export interface ObjectRef {
  namespace?: string;
  name: string;
}

/** `finalize` exists for namespaces only: it replaces `spec.finalizers`. */
export type Subresource = 'status' | 'scale' | 'finalize';

export interface WriteOptions {
  subresource?: Subresource;
  dryRun?: boolean;
  fieldManager?: string;
  /** Default Ignore in process; REST requests default to Warn. */
  fieldValidation?: FieldValidation;
}

export interface DeleteOptions {
  preconditions?: { uid?: string; resourceVersion?: string };
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  gracePeriodSeconds?: number;
  /** Kept from old clients: true means Orphan. */
  orphanDependents?: boolean;
  dryRun?: boolean;
}

/** One committed change. Objects are in stored form and frozen. */
export interface StorageChange {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** `<group>/<plural>` or the `key` of the definition's StorageView. */
  storageKey: string;
  object: KubernetesObject;
  /** The object before the change; absent for ADDED. */
  previous?: KubernetesObject;
}

/**
 * The API without HTTP, for parts of the server that act on objects themselves (garbage collection, CRD registration, set-up).
 * Every rule of the REST handlers holds here too: admission, conflicts, finalizers, immutability.
 *
 * Guarantees: reads see only durable objects, and every write that was awaited. A write promise resolves after fsync and rejects with ApiError.
 * Objects that are returned are frozen; clone before changing.
 * Caveats: `update` checks `metadata.resourceVersion` only when it is set, as REST does.
 */
export interface ObjectStorage {
  get(definition: ResourceDefinition, ref: ObjectRef): KubernetesObject | undefined;
  /** All namespaces if `namespace` is absent; sorted by namespace and name. */
  list(definition: ResourceDefinition, namespace?: string): KubernetesObject[];
  create(definition: ResourceDefinition, object: KubernetesObject, options?: WriteOptions): Promise<KubernetesObject>;
  update(definition: ResourceDefinition, object: KubernetesObject, options?: WriteOptions): Promise<KubernetesObject>;
  /** `undefined` if there is no such object. The object as it was deleted, or as it is now when finalizers hold it. */
  delete(
    definition: ResourceDefinition,
    ref: ObjectRef,
    options?: DeleteOptions,
  ): Promise<KubernetesObject | undefined>;
  /** Called in revision order after each durable change; returns a function that ends the subscription. */
  onChange(listener: (change: StorageChange) => void): () => void;
}

/** Where a definition's objects are kept. */
export function storageKeyOf(definition: ResourceDefinition): string {
  return definition.storage?.key ?? `${definition.group}/${definition.plural}`;
}
