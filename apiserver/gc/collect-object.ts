import { ApiError } from '../http/errors.ts';
import type { KubernetesObject, OwnerReference } from '../resources/definition.ts';
import type { DeleteOptions } from '../resources/storage.ts';
import { type CollectorContext, type Found, read, refOf, withoutFinalizer } from './context.ts';
import type { ObjectKey } from './owner-graph.ts';

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

/**
 * Does what is to be done now about one object: finishes its foreground or orphan deletion, or deletes it when no owner is left.
 * May be called at any time and any number of times.
 */
export async function collectObject(context: CollectorContext, key: ObjectKey): Promise<void> {
  const found = read(context, key);
  if (!found) return;
  const { metadata } = found.object;
  if (metadata.deletionTimestamp === undefined) {
    if (metadata.ownerReferences?.length) await deleteIfUnowned(context, found, key);
    return;
  }
  if (metadata.finalizers?.includes(orphanFinalizer)) await finishOrphaning(context, found);
  else if (metadata.finalizers?.includes(foregroundFinalizer)) await finishForeground(context, found);
}

/** Dependents lose this owner before it goes, so that they are never seen as dangling. */
async function finishOrphaning(context: CollectorContext, { definition, object }: Found): Promise<void> {
  const { uid } = object.metadata;
  await Promise.all(
    context.graph.dependentsOf(uid).map(async (key) => {
      const dependent = read(context, key);
      if (dependent) await dropOwners(context, dependent, (owner) => owner.uid === uid);
    }),
  );
  await context.storage.update(definition, withoutFinalizer(object, orphanFinalizer));
}

/** The owner goes when no dependent blocks it any more; until then each deletion of one brings us here again. */
async function finishForeground(context: CollectorContext, { definition, object }: Found): Promise<void> {
  const { uid } = object.metadata;
  let blocked = false;
  for (const key of context.graph.dependentsOf(uid)) {
    const dependent = read(context, key);
    const reference = dependent?.object.metadata.ownerReferences?.find((owner) => owner.uid === uid);
    if (!dependent || !reference) continue;
    if (reference.blockOwnerDeletion === true) blocked = true;
    if (dependent.object.metadata.deletionTimestamp === undefined) context.enqueue(key);
  }
  if (!blocked) await context.storage.update(definition, withoutFinalizer(object, foregroundFinalizer));
}

async function deleteIfUnowned(context: CollectorContext, found: Found, key: ObjectKey): Promise<void> {
  const { metadata } = found.object;
  const states = metadata.ownerReferences!.map((owner) => ownerState(context, found, owner));
  if (states.every((state) => state === 'solid')) return;
  if (states.includes('solid')) {
    const gone = new Set(
      metadata.ownerReferences!.filter((_, index) => states[index] !== 'solid').map(({ uid }) => uid),
    );
    await dropOwners(context, found, (owner) => gone.has(owner.uid));
    return;
  }
  // An owner that waits for this object also waits for what depends on this object.
  const waits = states.includes('waiting') && context.graph.dependentsOf(metadata.uid).length > 0;
  await deleteGuarded(context, found, { propagationPolicy: waits ? 'Foreground' : policyOf(found.object) }, key);
}

/** A policy that was asked for earlier stays; the default is to let dependents go afterwards. */
function policyOf({ metadata }: KubernetesObject): NonNullable<DeleteOptions['propagationPolicy']> {
  if (metadata.finalizers?.includes(orphanFinalizer)) return 'Orphan';
  return metadata.finalizers?.includes(foregroundFinalizer) ? 'Foreground' : 'Background';
}

async function deleteGuarded(
  { storage, enqueue }: CollectorContext,
  { definition, object }: Found,
  options: DeleteOptions,
  key: ObjectKey,
): Promise<void> {
  const { uid, resourceVersion } = object.metadata;
  try {
    await storage.delete(definition, refOf(object), {
      ...options,
      preconditions: { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) },
    });
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'Conflict') throw error;
    enqueue(key);
  }
}

async function dropOwners(
  { storage }: CollectorContext,
  { definition, object }: Found,
  isDropped: (owner: OwnerReference) => boolean,
): Promise<void> {
  const before = object.metadata.ownerReferences ?? [];
  const ownerReferences = before.filter((owner) => !isDropped(owner));
  if (ownerReferences.length === before.length) return;
  const { ownerReferences: _, ...metadata } = object.metadata;
  const kept = ownerReferences.length > 0 ? { ownerReferences } : {};
  await storage.update(definition, { ...object, metadata: { ...metadata, ...kept } });
}

type OwnerState = 'solid' | 'waiting' | 'dangling';

/**
 * Looks the owner up as it is now. What cannot be looked up counts as solid: an unknown kind may be served again later, and a
 * cluster-scoped object cannot have an owner in a namespace; deleting on such grounds would lose data.
 */
function ownerState({ registry, storage }: CollectorContext, { object }: Found, owner: OwnerReference): OwnerState {
  const group = owner.apiVersion.includes('/') ? owner.apiVersion.split('/')[0]! : '';
  const definition = registry.list().find((candidate) => candidate.group === group && candidate.kind === owner.kind);
  if (!definition || definition.review) return 'solid';
  const { namespace } = object.metadata;
  if (definition.namespaced && namespace === undefined) return 'solid';
  const live = storage.get(
    definition,
    definition.namespaced ? { namespace: namespace!, name: owner.name } : { name: owner.name },
  );
  if (live?.metadata.uid !== owner.uid) return 'dangling';
  const waiting =
    live.metadata.deletionTimestamp !== undefined && live.metadata.finalizers?.includes(foregroundFinalizer);
  return waiting ? 'waiting' : 'solid';
}
