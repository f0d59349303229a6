import type { CustomResourceDefinition } from '../builtin/crd/types.ts';
import { ApiError } from '../http/errors.ts';
import { crdStatus, type MutableResourceRegistry } from '../registry/registry.ts';
import type { KubernetesObject, ResourceDefinition } from './definition.ts';
import { jsonEqual } from './equal.ts';
import { type ObjectStorage, storageKeyOf } from './storage.ts';

/**
 * Keeps the registry in step with the stored CustomResourceDefinitions: what is committed is served before its writer is answered,
 * and the CRD's status says so a moment later.
 */
export function registerCrds(
  storage: ObjectStorage,
  registry: MutableResourceRegistry,
  crds: ResourceDefinition,
  onError: (error: unknown) => void,
): () => void {
  const register = (object: KubernetesObject) => {
    const crd = object as unknown as CustomResourceDefinition;
    registry.applyCrd(crd);
    const status = crdStatus(crd, registry);
    if (jsonEqual(status, object.status)) return;
    // A conflict means a newer version of the CRD, which is on its way here.
    storage.update(crds, { ...object, status }, { subresource: 'status' }).catch((error: unknown) => {
      if (!(error instanceof ApiError && (error.code === 'Conflict' || error.code === 'NotFound'))) onError(error);
    });
  };
  for (const object of storage.list(crds)) register(object);
  const key = storageKeyOf(crds);
  return storage.onChange(({ type, storageKey, object }) => {
    if (storageKey !== key) return;
    if (type !== 'DELETED') {
      register(object);
      return;
    }
    registry.removeCrd(object.metadata.name);
    // Its names are free now: a CRD that was refused for them may be accepted.
    for (const other of storage.list(crds)) register(other);
  });
}
