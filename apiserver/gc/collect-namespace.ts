import type { KubernetesObject, ResourceDefinition } from '../resources/definition.ts';
import { storageKeyOf } from '../resources/storage.ts';
import { type CollectorContext, refOf, storedDefinitions } from './context.ts';
import { objectKey } from './owner-graph.ts';

interface Condition {
  type: string;
  status: 'True' | 'False';
  reason: string;
  message: string;
  lastTransitionTime: string;
}

/** Deletes all that a terminating namespace contains; when nothing is left, lets it go. Called again whenever something in it goes. */
export async function collectNamespace(
  context: CollectorContext,
  definition: ResourceDefinition,
  name: string,
): Promise<void> {
  const namespace = context.storage.get(definition, { name });
  if (namespace?.metadata.deletionTimestamp === undefined) return;
  if (!(namespace.spec as { finalizers?: string[] } | undefined)?.finalizers?.length) return;
  const remaining = await deleteContents(context, name);
  if (remaining.length === 0) {
    await context.storage.update(definition, { ...namespace, spec: { finalizers: [] } }, { subresource: 'finalize' });
    return;
  }
  await reportRemaining(context, definition, namespace, remaining);
}

interface Remaining {
  definition: ResourceDefinition;
  object: KubernetesObject;
}

/** What finalizers still hold afterwards. */
async function deleteContents(context: CollectorContext, namespace: string): Promise<Remaining[]> {
  const { storage, registry } = context;
  const contents = storedDefinitions(registry)
    .filter((definition) => definition.namespaced)
    .flatMap((definition) => storage.list(definition, namespace).map((object) => ({ definition, object })));
  const held = await Promise.all(
    contents.map(async ({ definition, object }): Promise<Remaining | undefined> => {
      if (object.metadata.deletionTimestamp !== undefined) return { definition, object };
      await storage.delete(definition, refOf(object), { propagationPolicy: 'Background' });
      const left = storage.get(definition, refOf(object));
      return left && { definition, object: left };
    }),
  );
  return held.filter((entry) => entry !== undefined);
}

/** Says in the namespace's conditions what holds it up, in the words that `kubectl describe` users know. */
async function reportRemaining(
  context: CollectorContext,
  definition: ResourceDefinition,
  namespace: KubernetesObject,
  remaining: Remaining[],
): Promise<void> {
  const byResource = counted(remaining.map((entry) => resourceName(entry.definition)));
  const byFinalizer = counted(remaining.flatMap(({ object }) => object.metadata.finalizers ?? []));
  const now = `${context.now().toISOString().slice(0, 19)}Z`;
  const wanted: Omit<Condition, 'lastTransitionTime'>[] = [
    {
      type: 'NamespaceContentRemaining',
      status: 'True',
      reason: 'SomeResourcesRemain',
      message: `Some resources are remaining: ${byResource.map(([name, count]) => `${name} has ${count} resource instances`).join(', ')}`,
    },
    {
      type: 'NamespaceFinalizersRemaining',
      status: byFinalizer.length > 0 ? 'True' : 'False',
      reason: byFinalizer.length > 0 ? 'SomeFinalizersRemain' : 'ContentHasNoFinalizers',
      message:
        byFinalizer.length > 0
          ? `Some content in the namespace has finalizers remaining: ${byFinalizer.map(([name, count]) => `${name} in ${count} resource instances`).join(', ')}`
          : 'All content-preserving finalizers finished',
    },
  ];
  const status = (namespace.status ?? {}) as { conditions?: Condition[] };
  const conditions = wanted.map((condition): Condition => {
    const old = status.conditions?.find(({ type }) => type === condition.type);
    return { ...condition, lastTransitionTime: old?.status === condition.status ? old.lastTransitionTime : now };
  });
  const live = context.storage.get(definition, { name: namespace.metadata.name });
  if (!live) return;
  await context.storage.update(
    definition,
    { ...live, status: { ...(live.status as object), conditions } },
    { subresource: 'status' },
  );
  // What went between the listing and here has been told already, and nothing else may come.
  const { storage } = context;
  if (remaining.some(({ definition: kind, object }) => storage.get(kind, refOf(object)) === undefined)) {
    context.enqueue(objectKey(storageKeyOf(definition), namespace));
  }
}

function resourceName({ plural, group }: ResourceDefinition): string {
  return group === '' ? plural : `${plural}.${group}`;
}

function counted(names: string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}
