import { type CrdCondition, type CustomResourceDefinition, crdCleanupFinalizer } from '../builtin/crd/types.ts';
import { setCondition } from '../registry/status.ts';
import type { ResourceDefinition } from '../resources/definition.ts';
import { storedDefinition } from '../schema/custom-resource.ts';
import { type CollectorContext, refOf, withoutFinalizer } from './context.ts';

/** Deletes all objects of a deleted CRD; when none is left, lets the CRD go. Called again whenever one of them goes. */
export async function collectCrd(
  context: CollectorContext,
  definition: ResourceDefinition,
  name: string,
): Promise<void> {
  const { storage } = context;
  const crd = storage.get(definition, { name }) as CustomResourceDefinition | undefined;
  if (crd?.metadata.deletionTimestamp === undefined || !crd.metadata.finalizers?.includes(crdCleanupFinalizer)) return;
  const stored = storedDefinition(crd);
  const objects = storage.list(stored);
  if (objects.length > 0) await report(context, definition, crd);
  await Promise.all(
    objects
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map((object) => storage.delete(stored, refOf(object), { propagationPolicy: 'Background' })),
  );
  if (storage.list(stored).length > 0) return;
  const live = storage.get(definition, { name });
  if (live) await storage.update(definition, withoutFinalizer(live, crdCleanupFinalizer));
}

async function report(
  { storage, now }: CollectorContext,
  definition: ResourceDefinition,
  crd: CustomResourceDefinition,
): Promise<void> {
  const conditions: CrdCondition[] = [...(crd.status?.conditions ?? [])];
  if (conditions.some(({ type, status }) => type === 'Terminating' && status === 'True')) return;
  const message = 'CustomResource deletion is in progress';
  setCondition(
    conditions,
    { type: 'Terminating', status: 'True', reason: 'InstanceDeletionInProgress', message },
    now(),
  );
  await storage.update(definition, { ...crd, status: { ...crd.status, conditions } }, { subresource: 'status' });
}
