import type { KubernetesObject, ResourceDefinition } from '../../resources/definition.ts';
import type { FieldSet } from './field-set.ts';
import { without } from './field-set.ts';

/** Fields that nobody owns: they say what the object is, or the server writes them. */
const systemFields: string[][] = [
  ['apiVersion'],
  ['kind'],
  ...['name', 'generateName', 'namespace', 'uid', 'selfLink', 'resourceVersion', 'generation', 'creationTimestamp'].map(
    metadata,
  ),
  ...['deletionTimestamp', 'deletionGracePeriodSeconds', 'managedFields'].map(metadata),
];

function metadata(field: string): string[] {
  return ['metadata', field];
}

/** The fields of a set that a write by this path can own: `status` belongs to its subresource, and nothing else does. */
export function ownable(set: FieldSet, definition: ResourceDefinition, subresource: string | undefined): FieldSet {
  const reset: string[][] =
    subresource === 'status'
      ? [...set.children.keys()].filter((key) => key !== 'f:status').map((key) => [key.slice(2)])
      : definition.status
        ? [['status']]
        : [];
  return without(set, [...systemFields, ...reset]);
}

/** The part of an applied document that its path can write. */
export function writablePart(
  document: KubernetesObject,
  definition: ResourceDefinition,
  subresource: string | undefined,
): KubernetesObject {
  const { apiVersion, kind, metadata: own, status, ...rest } = document;
  const identity = { apiVersion, kind };
  if (subresource === 'status') {
    return { ...identity, metadata: { name: own.name }, ...(status !== undefined && { status }) } as KubernetesObject;
  }
  return {
    ...identity,
    metadata: own,
    ...rest,
    ...(!definition.status && status !== undefined && { status }),
  } as KubernetesObject;
}
