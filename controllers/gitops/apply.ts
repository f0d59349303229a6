import type { ApiClient, ApiObject, ObjectKey, Resource } from '../machinery/client/client.ts';
import type { ManifestDocument } from './documents.ts';
import type { RestMapper } from './mapping.ts';
import { threeWayMergePatch } from './three-way.ts';

/** kubectl's own annotation, so that `kubectl apply` and a directory can take turns on one object. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

export type ApplyResult = 'created' | 'configured' | 'unchanged';

export interface AppliedObject {
  resource: Resource<ApiObject>;
  key: ObjectKey;
  result: ApplyResult;
}

/**
 * Creates the object, once `beforeCreation` has resolved, or patches it to what the document says. Rejects with the API server's error, which names the
 * field.
 */
export async function applyDocument(
  client: ApiClient,
  mapper: RestMapper,
  document: ManifestDocument,
  beforeCreation: () => Promise<void> = async () => {},
): Promise<AppliedObject> {
  const { resource, key } = await locate(mapper, document);
  const desired = structuredClone(document.object) as ApiObject & Record<string, unknown>;
  desired.metadata = { ...desired.metadata, ...(key.namespace ? { namespace: key.namespace } : {}) };
  delete desired.status;
  const annotation = lastAppliedOf(desired);
  desired.metadata.annotations = { ...desired.metadata.annotations, [LAST_APPLIED]: annotation };
  const current = await client.get(resource, key);
  if (!current) {
    await beforeCreation();
    await client.create(resource, desired);
    return { resource, key, result: 'created' };
  }
  const patch = threeWayMergePatch(parse(current.metadata?.annotations?.[LAST_APPLIED]), current, desired);
  if (Object.keys(patch).length === 0) return { resource, key, result: 'unchanged' };
  const after = await client.mergePatch(resource, key, patch);
  const changed = after.metadata?.resourceVersion !== current.metadata?.resourceVersion;
  return { resource, key, result: changed ? 'configured' : 'unchanged' };
}

/** Where a document lives: its REST resource and its key, with namespace `default` when it names none. */
export async function locate(
  mapper: RestMapper,
  document: ManifestDocument,
): Promise<{ resource: Resource<ApiObject>; key: ObjectKey }> {
  const { apiVersion, kind, metadata } = document.object;
  const resource = await mapper.find(apiVersion, kind);
  if (!resource)
    throw new Error(
      `no matches for kind "${kind}" in version "${apiVersion}": is its CustomResourceDefinition installed?`,
    );
  const namespace = (metadata as { namespace?: string }).namespace;
  return {
    resource,
    key: { name: metadata.name, ...(resource.namespaced ? { namespace: namespace ?? 'default' } : {}) },
  };
}

function lastAppliedOf(desired: ApiObject): string {
  const { [LAST_APPLIED]: _, ...annotations } = desired.metadata?.annotations ?? {};
  return `${JSON.stringify({ ...desired, metadata: { ...desired.metadata, annotations } })}\n`;
}

function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
