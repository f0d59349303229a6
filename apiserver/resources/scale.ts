import { badRequest, notFound } from '../http/errors.ts';
import { entryKey, onHeads, type ResourceContext, viewOf, type Written } from './context.ts';
import type { KubernetesObject, ResourceDefinition, ScaleSubresource } from './definition.ts';
import { pathOf, readPath } from './replicas.ts';
import type { ObjectRef, WriteOptions } from './storage.ts';
import { updateObject } from './update.ts';

type Fields = Record<string, unknown>;

/** The object as autoscaling/v1 Scale. */
export function toScale(definition: ResourceDefinition, object: KubernetesObject): KubernetesObject {
  const scale = scaleOf(definition, object.metadata.name);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = scale.labelSelectorPath ? readPath(object, scale.labelSelectorPath) : undefined;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name,
      ...(namespace && { namespace }),
      uid,
      resourceVersion,
      creationTimestamp,
    } as KubernetesObject['metadata'],
    spec: { replicas: Number(readPath(object, scale.specReplicasPath) ?? 0) },
    status: {
      replicas: Number(readPath(object, scale.statusReplicasPath) ?? 0),
      ...(typeof selector === 'string' && selector !== '' && { selector }),
    },
  };
}

/** Writes the replicas (and, for the conflict check, the version) of a Scale into the object it belongs to. */
export function updateScale(
  context: ResourceContext,
  definition: ResourceDefinition,
  ref: ObjectRef,
  body: unknown,
  options: WriteOptions,
): Promise<Written> {
  const key = entryKey(definition, ref);
  return onHeads(context, [key], async () => {
    const existing = context.store.head(key);
    if (existing === undefined) throw notFound(definition, ref.name);
    const { subresource: _, ...rest } = options;
    return updateObject(context, definition, ref, fromScale(definition, viewOf(definition, existing), body), rest);
  });
}

function fromScale(definition: ResourceDefinition, object: KubernetesObject, body: unknown): KubernetesObject {
  const scale = scaleOf(definition, object.metadata.name);
  const given = body as { metadata?: Fields; spec?: Fields } | null;
  const replicas = given?.spec?.replicas ?? 0;
  if (typeof replicas !== 'number' || !Number.isInteger(replicas)) {
    throw badRequest(`spec.replicas: Invalid value: ${JSON.stringify(replicas)}: must be an integer`);
  }
  const { resourceVersion: _, ...metadata } = object.metadata;
  const { resourceVersion, uid } = given?.metadata ?? {};
  const version = typeof resourceVersion === 'string' && resourceVersion !== '' ? { resourceVersion } : {};
  const changed = write(object, pathOf(scale.specReplicasPath), replicas) as KubernetesObject;
  return { ...changed, metadata: { ...metadata, ...version, ...(typeof uid === 'string' && { uid }) } };
}

function scaleOf(definition: ResourceDefinition, name: string): ScaleSubresource {
  if (definition.scale === undefined) throw notFound(definition, name);
  return definition.scale;
}

function write(value: unknown, [first, ...rest]: string[], leaf: unknown): unknown {
  if (first === undefined) return leaf;
  const fields = typeof value === 'object' && value !== null ? (value as Fields) : {};
  return { ...fields, [first]: write(fields[first], rest, leaf) };
}
