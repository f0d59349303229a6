import { type FieldCause, invalid } from '../http/errors.ts';
import type { KubernetesObject, ResourceDefinition } from './definition.ts';

type Fields = Record<string, unknown>;

const maxInt32 = 2 ** 31 - 1;

/** The names on a path of the scale subresource, `.spec.replicas`. */
export function pathOf(path: string): string[] {
  return path.split('.').filter((part) => part !== '');
}

export function readPath(object: unknown, path: string): unknown {
  return pathOf(path).reduce<unknown>((value, part) => (value as Fields | undefined | null)?.[part], object);
}

/** Kinds with the scale subresource have replicas that a Scale can carry, whatever their schema says. */
export function checkReplicas(definition: ResourceDefinition, object: KubernetesObject): void {
  if (definition.scale === undefined) return;
  const { specReplicasPath, statusReplicasPath } = definition.scale;
  const causes = [specReplicasPath, statusReplicasPath].flatMap((path) => problemOf(path, readPath(object, path)));
  if (causes.length > 0) throw invalid(definition, object.metadata.name, causes);
}

/** The genuine server names the path as the CRD writes it, with its leading dot. */
function problemOf(path: string, value: unknown): FieldCause[] {
  if (typeof value !== 'number' || (value >= 0 && value <= maxInt32)) return [];
  const rule = value < 0 ? 'should be a non-negative integer' : `should be less than or equal to ${maxInt32}`;
  return [{ reason: 'FieldValueInvalid', field: path, message: `Invalid value: ${value}: ${rule}` }];
}
