import { conflict, notFound } from '../http/errors.ts';
import type { Entry } from '../store/entry.ts';
import { entryKey, onHeads, putObject, type ResourceContext, removeObject, viewOf } from './context.ts';
import { apiTime } from './create.ts';
import type { KubernetesObject, ResourceDefinition } from './definition.ts';
import { isNamespaceDefinition, markNamespaceTerminating, refuseSystemNamespace } from './namespaces.ts';
import type { DeleteOptions, ObjectRef } from './storage.ts';
import { isReleased } from './update.ts';

const foreground = 'foregroundDeletion';
const orphan = 'orphan';

export interface Deleted {
  entry: Entry;
  /** False: finalizers hold the object, which is marked as deleting now. */
  gone: boolean;
}

/** Deletes an object at once, or marks it as deleting if finalizers hold it. */
export function deleteObject(
  context: ResourceContext,
  definition: ResourceDefinition,
  ref: ObjectRef,
  options: DeleteOptions = {},
): Promise<Deleted> {
  return onHeads(context, [entryKey(definition, ref)], () => removeOrMark(context, definition, ref, options));
}

async function removeOrMark(
  context: ResourceContext,
  definition: ResourceDefinition,
  ref: ObjectRef,
  options: DeleteOptions,
): Promise<Deleted> {
  const before = context.store.head(entryKey(definition, ref));
  if (before === undefined) throw notFound(definition, ref.name);
  if (isNamespaceDefinition(definition)) refuseSystemNamespace(definition, ref.name);
  const existing = viewOf(definition, before);
  checkPreconditions(definition, existing, options.preconditions);

  const marked = markDeleting(context, definition, existing, options);
  const dryRun = options.dryRun ?? false;
  if (isReleased(definition, marked)) {
    // The last state that watchers see is the one before: nobody marked it.
    return { entry: await removeObject(context, definition, existing, dryRun), gone: true };
  }
  if (marked === existing) return { entry: before, gone: false };
  return { entry: await putObject(context, definition, marked, dryRun), gone: false };
}

function checkPreconditions(
  definition: ResourceDefinition,
  { metadata }: KubernetesObject,
  preconditions: DeleteOptions['preconditions'],
): void {
  const { uid, resourceVersion } = preconditions ?? {};
  if (uid && uid !== metadata.uid) {
    const because = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`;
    throw conflict(definition, metadata.name, because);
  }
  if (resourceVersion && resourceVersion !== metadata.resourceVersion) {
    const because = `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`;
    throw conflict(definition, metadata.name, because);
  }
}

/** The same object if it is deleting already and nothing changes. */
function markDeleting(
  context: ResourceContext,
  definition: ResourceDefinition,
  existing: KubernetesObject,
  options: DeleteOptions,
): KubernetesObject {
  const { metadata } = existing;
  const finalizers = finalizersFor(metadata.finalizers ?? [], options);
  const sameFinalizers = finalizers.length === (metadata.finalizers?.length ?? 0);
  if (metadata.deletionTimestamp !== undefined && sameFinalizers) return existing;
  const { finalizers: _, ...rest } = metadata;
  const first = metadata.deletionTimestamp === undefined;
  const marked = {
    ...existing,
    metadata: {
      ...rest,
      ...(finalizers.length > 0 && { finalizers }),
      ...(first && { deletionTimestamp: apiTime(context.now()), deletionGracePeriodSeconds: 0 }),
      ...(first && metadata.generation !== undefined && { generation: metadata.generation + 1 }),
    },
  };
  return isNamespaceDefinition(definition) ? markNamespaceTerminating(marked) : marked;
}

/** The policy of what to do with dependents travels as a finalizer, which the garbage collector honours and removes. */
function finalizersFor(finalizers: readonly string[], options: DeleteOptions): string[] {
  const policy =
    options.propagationPolicy ??
    (options.orphanDependents === undefined ? undefined : options.orphanDependents ? 'Orphan' : 'Background');
  if (policy === undefined) return [...finalizers];
  const others = finalizers.filter((finalizer) => finalizer !== foreground && finalizer !== orphan);
  if (policy === 'Foreground') return [...others, foreground];
  return policy === 'Orphan' ? [...others, orphan] : others;
}
