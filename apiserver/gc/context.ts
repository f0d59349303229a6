import type { KubernetesObject, ResourceDefinition, ResourceRegistry } from '../resources/definition.ts';
import { type ObjectStorage, storageKeyOf } from '../resources/storage.ts';
import { type ObjectKey, type OwnerGraph, splitKey } from './owner-graph.ts';

/** What the collecting functions act on. */
export interface CollectorContext {
  storage: ObjectStorage;
  registry: ResourceRegistry;
  graph: OwnerGraph;
  /** Asks for another look at an object. */
  enqueue: (key: ObjectKey) => void;
  now: () => Date;
}

export interface Found {
  definition: ResourceDefinition;
  object: KubernetesObject;
}

/** The object as it is now, in any of its versions. */
export function read(
  { storage, registry }: Pick<CollectorContext, 'storage' | 'registry'>,
  key: ObjectKey,
): Found | undefined {
  const { storageKey, namespace, name } = splitKey(key);
  const definition = definitionOf(registry, storageKey);
  const object = definition && storage.get(definition, namespace === undefined ? { name } : { namespace, name });
  return object && { definition, object };
}

/** One definition for what is stored under a key. */
export function definitionOf(registry: ResourceRegistry, storageKey: string): ResourceDefinition | undefined {
  return registry.list().find((definition) => storageKeyOf(definition) === storageKey);
}

/** One definition per storage key: several versions of a kind are the same objects. */
export function storedDefinitions(registry: ResourceRegistry): ResourceDefinition[] {
  const byKey = new Map<string, ResourceDefinition>();
  for (const definition of registry.list()) {
    const key = storageKeyOf(definition);
    if (!definition.review && !byKey.has(key)) byKey.set(key, definition);
  }
  return [...byKey.values()];
}

export function refOf({ metadata }: KubernetesObject): { namespace?: string; name: string } {
  return { ...(metadata.namespace !== undefined && { namespace: metadata.namespace }), name: metadata.name };
}

/** The object without one of its finalizers. */
export function withoutFinalizer(object: KubernetesObject, finalizer: string): KubernetesObject {
  const { finalizers = [], ...metadata } = object.metadata;
  const others = finalizers.filter((name) => name !== finalizer);
  return { ...object, metadata: { ...metadata, ...(others.length > 0 && { finalizers: others }) } };
}
