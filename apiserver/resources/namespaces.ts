import { ApiError, forbidden, notFound } from '../http/errors.ts';
import type { EntryKey } from '../store/entry.ts';
import { entryKey, type ResourceContext } from './context.ts';
import type { KubernetesObject, ResourceDefinition } from './definition.ts';

/** Made at every start, and never deleted. */
export const systemNamespaces = ['default', 'kube-system', 'tepui-system', 'tepui-agent-leases'] as const;

export function isNamespaceDefinition(definition: ResourceDefinition): boolean {
  return definition.group === '' && definition.plural === 'namespaces';
}

/** A new namespace is Active, and held by the finalizer that lets the garbage collector empty it first. */
export function prepareNamespace(object: KubernetesObject): KubernetesObject {
  const spec = fields(object.spec);
  return {
    ...object,
    metadata: {
      ...object.metadata,
      labels: { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name },
    },
    spec: { ...spec, finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

export function markNamespaceTerminating(object: KubernetesObject): KubernetesObject {
  return { ...object, status: { ...fields(object.status), phase: 'Terminating' } };
}

/** `spec.finalizers` of a namespace hold it as `metadata.finalizers` do. */
export function namespaceFinalizers(object: KubernetesObject): unknown[] {
  const { finalizers } = fields(object.spec);
  return Array.isArray(finalizers) ? finalizers : [];
}

export function refuseSystemNamespace(definition: ResourceDefinition, name: string): void {
  if ((systemNamespaces as readonly string[]).includes(name)) {
    throw forbidden(definition, name, 'this namespace may not be deleted');
  }
}

/** Where the namespace is that a new object needs: it is judged by that too. */
export function namespaceKeys(
  context: ResourceContext,
  definition: ResourceDefinition,
  name: string | undefined,
): EntryKey[] {
  const namespaces = definition.namespaced && name ? context.registry.find('', 'v1', 'namespaces') : undefined;
  return namespaces && name ? [entryKey(namespaces, { name })] : [];
}

/** New content needs a namespace that exists and is not on its way out. */
export function requireNamespace(
  context: ResourceContext,
  definition: ResourceDefinition,
  object: KubernetesObject,
): void {
  if (!definition.namespaced) return;
  const namespaces = context.registry.find('', 'v1', 'namespaces');
  const name = object.metadata.namespace ?? '';
  if (namespaces === undefined) return;
  const namespace = context.store.head(entryKey(namespaces, { name }));
  if (namespace === undefined) throw notFound(namespaces, name);
  if (namespace.object.metadata.deletionTimestamp === undefined) return;
  const refusal = forbidden(
    definition,
    object.metadata.name,
    `unable to create new content in namespace ${name} because it is being terminated`,
  );
  throw new ApiError('Forbidden', refusal.message, {
    ...refusal.details,
    causes: [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${name} is being terminated`,
        field: 'metadata.namespace',
      },
    ],
  });
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
