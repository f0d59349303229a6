import { ApiError } from '../http/errors.ts';
import { entryKey, type ResourceContext, viewOf } from './context.ts';
import { createObject } from './create.ts';
import { deleteObject } from './delete.ts';
import { type ObjectStorage, type StorageChange, storageKeyOf } from './storage.ts';
import { updateObject } from './update.ts';

/** The API in process: the REST handlers' rules without HTTP. */
export function createObjectStorage(context: ResourceContext): ObjectStorage {
  const { store } = context;
  return {
    get(definition, ref) {
      const entry = store.get(entryKey(definition, ref));
      return entry && viewOf(definition, entry);
    },
    list(definition, namespace) {
      const entries = store.collection(storageKeyOf(definition)).values(namespace);
      return Array.from(entries, (entry) => viewOf(definition, entry));
    },
    async create(definition, object, options) {
      const { entry } = await createObject(context, definition, object.metadata.namespace, object, options);
      return viewOf(definition, entry);
    },
    async update(definition, object, options) {
      const { entry } = await updateObject(context, definition, object.metadata, object, options);
      return viewOf(definition, entry);
    },
    async delete(definition, ref, options) {
      try {
        return viewOf(definition, (await deleteObject(context, definition, ref, options)).entry);
      } catch (error) {
        if (error instanceof ApiError && error.code === 'NotFound') return undefined;
        throw error;
      }
    },
    onChange(listener) {
      return store.onCommit((entries) => {
        for (const { type, storage, object, previous } of entries) {
          const change: StorageChange = { type, storageKey: storage, object };
          listener(previous ? { ...change, previous: previous.object } : change);
        }
      });
    },
  };
}
