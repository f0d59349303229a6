import type { ApiClient, ApiObject, JsonPatch, Resource } from './client/client.ts';
import { ApiStatusError, isNotFound } from './client/errors.ts';
import { keyOf } from './key.ts';
import type { Outcome } from './outcome.ts';

export interface FinalizerArms<T> {
  /** The object lives and is protected: do the ordinary work. */
  apply: (object: T) => Promise<Outcome>;
  /**
   * The object is being deleted and still protected: undo. `isClean` lets it go; otherwise the outcome says when to look again. Must
   * tolerate that `apply` never ran, and that it ran before itself.
   */
  cleanUp: (object: T) => Promise<{ isClean: true } | { isClean: false; outcome: Outcome }>;
}

/**
 * The four cases of (finalizer present?) x (being deleted?):
 *
 *               | lives             | is being deleted
 *   absent      | add, then apply   | nothing: not ours any more
 *   present     | apply             | cleanUp, then remove
 *
 * Guarantees: `apply` never runs unprotected; no other controller's finalizer is touched, also when both write at once.
 */
export async function withFinalizer<T extends ApiObject>(
  client: ApiClient,
  resource: Resource<T>,
  object: T,
  finalizer: string,
  arms: FinalizerArms<T>,
): Promise<Outcome> {
  const isPresent = object.metadata?.finalizers?.includes(finalizer) ?? false;
  const isDeleting = object.metadata?.deletionTimestamp !== undefined;
  if (!isPresent && !isDeleting) return arms.apply(await addFinalizer(client, resource, object, finalizer));
  if (isPresent && !isDeleting) return arms.apply(object);
  if (!isPresent) return { kind: 'done' };
  const result = await arms.cleanUp(object);
  if (!result.isClean) return result.outcome;
  await removeFinalizer(client, resource, object, finalizer);
  return { kind: 'done' };
}

/** Returns the object as it is then. An object that has the finalizer is returned as it is. */
export async function addFinalizer<T extends ApiObject>(
  client: ApiClient,
  resource: Resource<T>,
  object: T,
  finalizer: string,
): Promise<T> {
  const existing = object.metadata?.finalizers ?? [];
  if (existing.includes(finalizer)) return object;
  const add: JsonPatch =
    existing.length === 0
      ? [{ op: 'add', path: '/metadata/finalizers', value: [finalizer] }]
      : [{ op: 'add', path: '/metadata/finalizers/-', value: finalizer }];
  // Without the version test, an `add` of the whole list could overwrite one that somebody else has just made.
  const test: JsonPatch = [{ op: 'test', path: '/metadata/resourceVersion', value: object.metadata?.resourceVersion }];
  return client.jsonPatch(resource, keyOf(object), [...test, ...add]);
}

/** Removes one finalizer and no other; an object that is gone, or no longer has it, is fine. */
export async function removeFinalizer<T extends ApiObject>(
  client: ApiClient,
  resource: Resource<T>,
  object: T,
  finalizer: string,
): Promise<void> {
  let current: T | undefined = object;
  for (let attempt = 0; current; attempt++) {
    const index = current.metadata?.finalizers?.indexOf(finalizer) ?? -1;
    if (index < 0 || current.metadata?.uid !== object.metadata?.uid) return;
    try {
      await client.jsonPatch(resource, keyOf(object), [
        { op: 'test', path: '/metadata/uid', value: object.metadata?.uid },
        { op: 'test', path: `/metadata/finalizers/${index}`, value: finalizer },
        { op: 'remove', path: `/metadata/finalizers/${index}` },
      ]);
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      // The cached list was old and the index has moved: read it again. Servers answer a failed `test` with 409 or 422.
      const isMoved = error instanceof ApiStatusError && (error.code === 409 || error.code === 422);
      if (!isMoved || attempt >= 3) throw error;
      current = await client.get(resource, keyOf(object));
    }
  }
}
