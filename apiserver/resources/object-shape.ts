import { badRequest } from '../http/errors.ts';
import type { KubernetesObject, ResourceDefinition } from './definition.ts';

/**
 * Checks that a body is an object of this definition for this place: apiVersion and kind, metadata, namespace and (if given) name.
 * Throws 400 as the genuine server does. The result is a shallow copy that may be changed.
 */
export function checkObject(
  definition: ResourceDefinition,
  namespace: string | undefined,
  body: unknown,
  name?: string,
): KubernetesObject {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badRequest(`the body must be a ${definition.kind} object`);
  }
  const object = { ...(body as KubernetesObject) };
  checkType(definition, object);
  const { metadata } = object;
  if (metadata !== undefined && (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))) {
    throw badRequest('metadata must be an object');
  }
  object.metadata = { ...metadata };
  const own = object.metadata.namespace;
  if (definition.namespaced && own && own !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (!definition.namespaced) delete object.metadata.namespace;
  if (name !== undefined) {
    if (object.metadata.name && object.metadata.name !== name) {
      throw badRequest(`the name of the object (${object.metadata.name}) does not match the name on the URL (${name})`);
    }
    object.metadata.name = name;
  }
  return object;
}

function checkType(definition: ResourceDefinition, object: KubernetesObject): void {
  const apiVersion = definition.group ? `${definition.group}/${definition.version}` : definition.version;
  // Typed clients may leave both out: the URL has said them.
  if (object.apiVersion === undefined) object.apiVersion = apiVersion;
  if (object.kind === undefined) object.kind = definition.kind;
  if (object.apiVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${String(object.apiVersion)}) does not match the expected API version (${apiVersion})`,
    );
  }
  if (object.kind !== definition.kind) {
    throw badRequest(
      `the kind in the data (${String(object.kind)}) does not match the expected kind (${definition.kind})`,
    );
  }
}
