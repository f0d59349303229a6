import type { ResourceDefinition, ResourceRegistry } from '../resources/definition.ts';
import { ApiError, badRequest } from './errors.ts';

/** What a resource URL names. */
export interface ResourceRoute {
  definition: ResourceDefinition;
  /** Undefined for cluster-scoped resources and for lists over all namespaces. */
  namespace: string | undefined;
  /** Undefined for the collection. */
  name: string | undefined;
  subresource: string | undefined;
}

/**
 * Reads `/api/v1/...` and `/apis/<group>/<version>/...`. Undefined if the path is not one of a resource (discovery, health and so on);
 * throws 404 if it is, but no such resource is served.
 */
export function routeResource(registry: ResourceRegistry, path: string): ResourceRoute | undefined {
  const parts = path.split('/').slice(1);
  if (parts.at(-1) === '') parts.pop();
  const prefix = parts[0] === 'api' ? 2 : parts[0] === 'apis' ? 3 : 0;
  if (prefix === 0 || parts.length <= prefix) return undefined;
  const [group, version] = parts[0] === 'api' ? ['', parts[1]!] : [parts[1]!, parts[2]!];
  const place = placeOf(parts.slice(prefix).map(decode), group);
  if (place === undefined) throw new ApiError('NotFound');
  const definition = registry.find(group, version, place.plural);
  if (definition === undefined) throw new ApiError('NotFound');
  const { namespace, name, subresource } = place;
  if (!definition.namespaced && namespace !== undefined) throw new ApiError('NotFound');
  if (definition.namespaced && namespace === undefined && name !== undefined) throw new ApiError('NotFound');
  return { definition, namespace, name, subresource };
}

interface Place {
  plural: string;
  namespace?: string;
  name?: string;
  subresource?: string;
}

function placeOf(parts: string[], group: string): Place | undefined {
  if (parts.some((part) => part === '')) return undefined;
  const [first, second, third] = parts;
  if (first === 'namespaces' && second !== undefined && third !== undefined) {
    // A namespace's own subresources look like collections in it.
    const own = group === '' && parts.length === 3 && (third === 'status' || third === 'finalize');
    if (!own) return parts.length > 5 ? undefined : namedPlace(parts.slice(2), second);
  }
  return parts.length > 3 ? undefined : namedPlace(parts);
}

function namedPlace([plural, name, subresource]: string[], namespace?: string): Place {
  return {
    plural: plural!,
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
    ...(subresource !== undefined && { subresource }),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badRequest(`the path is not valid: ${JSON.stringify(part)} is not percent-encoded UTF-8`);
  }
}
