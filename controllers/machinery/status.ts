import type { ApiClient, ApiObject, Resource } from './client/client.ts';
import { keyOf } from './key.ts';

interface WithStatus extends ApiObject {
  status?: object;
}

/**
 * Writes a status if it differs from the one of `object`, as a merge patch of the differing fields only; returns the object then.
 *
 * Guarantee: it lands on the version of the object that it was computed from, or nowhere (409, see isConflict). The version also stands for the
 * identity: API servers ignore a wrong uid in a patch of a status, so an object made anew under the same name would get the old one's status.
 */
export async function patchStatus<T extends WithStatus>(
  client: ApiClient,
  resource: Resource<T>,
  object: T,
  status: NonNullable<T['status']>,
): Promise<T | undefined> {
  const patch = mergePatchBetween(object.status ?? {}, withoutEmptyTexts(status));
  if (patch === undefined) return undefined;
  const { uid, resourceVersion } = object.metadata ?? {};
  return client.mergePatch(resource, keyOf(object), { metadata: { uid, resourceVersion }, status: patch }, 'status');
}

/** Leaves out texts that are empty: API servers before 1.21 refuse them, and to a reader they are the same as absent. */
function withoutEmptyTexts(status: object): object {
  return Object.fromEntries(Object.entries(status).filter(([, value]) => value !== ''));
}

/** The JSON merge patch that leads from one document to the other; undefined if they are equal. Lists are replaced whole. */
export function mergePatchBetween(from: unknown, to: unknown): unknown {
  if (!isPlainObject(from) || !isPlainObject(to)) return isSameJson(from, to) ? undefined : to;
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(to)) {
    if (value === undefined) continue;
    const difference = mergePatchBetween(from[key], value);
    if (difference !== undefined) patch[key] = difference;
  }
  for (const key of Object.keys(from)) if (to[key] === undefined && from[key] !== undefined) patch[key] = null;
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Two values that are no two objects: the same scalar, or lists of the same. */
function isSameJson(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other)) {
    return (
      one.length === other.length && one.every((item, index) => mergePatchBetween(item, other[index]) === undefined)
    );
  }
  return one === other;
}
