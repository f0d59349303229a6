import { badRequest, notFound } from '../http/errors.ts';
import type { KubernetesObject, ResourceDefinition, ScaleSubresource } from './definition.ts';

type Fields = Record<string, unknown>;

/** The object as autoscaling/v1 Scale. */
export function toScale(definition: ResourceDefinition, object: KubernetesObject): KubernetesObject {
  const scale = scaleOf(definition, object.metadata.name);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = scale.labelSelectorPath ? read(object, scale.labelSelectorPath) : undefined;
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
    spec: { replicas: Number(read(object, scale.specReplicasPath) ?? 0) },
    status: {
      replicas: Number(read(object, scale.statusReplicasPath) ?? 0),
      ...(typeof selector === 'string' && selector !== '' && { selector }),
    },
  };
}

/** The object with the replicas (and, for the conflict check, the version) of a Scale. */
export function fromScale(definition: ResourceDefinition, object: KubernetesObject, body: unknown): KubernetesObject {
  const scale = scaleOf(definition, object.metadata.name);
  const given = body as { metadata?: Fields; spec?: Fields } | null;
  const replicas = given?.spec?.replicas ?? 0;
  if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0) {
    throw badRequest(`spec.replicas: Invalid value: ${JSON.stringify(replicas)}: must be an integer not below 0`);
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

function pathOf(path: string): string[] {
  return path.split('.').filter((part) => part !== '');
}

function read(object: unknown, path: string): unknown {
  return pathOf(path).reduce<unknown>((value, part) => (value as Fields | undefined | null)?.[part], object);
}

function write(value: unknown, [first, ...rest]: string[], leaf: unknown): unknown {
  if (first === undefined) return leaf;
  const fields = typeof value === 'object' && value !== null ? (value as Fields) : {};
  return { ...fields, [first]: write(fields[first], rest, leaf) };
}
