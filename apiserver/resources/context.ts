import { Entry, type EntryKey, encode } from '../store/entry.ts';
import type { Store } from '../store/store.ts';
import type { KubernetesObject, ResourceDefinition, ResourceRegistry } from './definition.ts';
import { type ObjectRef, storageKeyOf } from './storage.ts';

/** What the rules of the API act on. */
export interface ResourceContext {
  store: Store;
  registry: ResourceRegistry;
  now: () => Date;
}

/** The result of a write, in stored form. */
export interface Written {
  entry: Entry;
  warnings: string[];
}

export function entryKey(definition: ResourceDefinition, ref: ObjectRef): EntryKey {
  return {
    storage: storageKeyOf(definition),
    namespace: definition.namespaced ? (ref.namespace ?? '') : '',
    name: ref.name,
  };
}

/** The object in the definition's own form. */
export function viewOf(definition: ResourceDefinition, entry: Entry): KubernetesObject {
  return definition.storage ? definition.storage.fromStored(entry.object) : entry.object;
}

/**
 * Runs a verb, whose check and write are its first synchronous step, and answers no sooner than the heads it was judged by are durable: whoever
 * is refused (conflict, exists, not found) or told that nothing changes, and reads again, sees at least that. If a head could not be
 * written the answer is that failure.
 */
export async function onHeads<T>(context: ResourceContext, keys: EntryKey[], verb: () => Promise<T>): Promise<T> {
  const pending = keys.map((key) => context.store.pending(key)).filter((written) => written !== undefined);
  if (pending.length === 0) return verb();
  try {
    return await verb();
  } finally {
    await Promise.all(pending);
  }
}

/** Stores the object, or (dry run) only shows what would be stored. Must be called in the same synchronous step as the checks before it. */
export async function putObject(
  context: ResourceContext,
  definition: ResourceDefinition,
  object: KubernetesObject,
  dryRun: boolean,
): Promise<Entry> {
  const key = entryKey(definition, object.metadata);
  const stored = definition.storage ? definition.storage.toStored(object) : object;
  return dryRun ? unsaved(key, stored) : context.store.put(key, ownMetadata(stored));
}

/** Deletes the object, whose last state is given. */
export async function removeObject(
  context: ResourceContext,
  definition: ResourceDefinition,
  object: KubernetesObject,
  dryRun: boolean,
): Promise<Entry> {
  const key = entryKey(definition, object.metadata);
  const stored = definition.storage ? definition.storage.toStored(object) : object;
  return dryRun ? unsaved(key, stored) : context.store.remove(key, ownMetadata(stored));
}

function unsaved(key: EntryKey, object: KubernetesObject): Entry {
  return new Entry(key, { revision: 0, deleted: false, timeMs: 0, encoded: encode(JSON.stringify(object)), object });
}

/** The store writes the revision into metadata: that must not be the (frozen) metadata of another version. */
function ownMetadata(object: KubernetesObject): KubernetesObject {
  return { ...object, metadata: { ...object.metadata } };
}
