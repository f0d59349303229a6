import { trackUpdate } from '../apply/server-side/track-update.ts';
import { ApiError, conflict, type FieldCause, invalid, notFound } from '../http/errors.ts';
import { entryKey, onHeads, putObject, type ResourceContext, removeObject, viewOf, type Written } from './context.ts';
import type { KubernetesObject, ObjectMeta, ResourceDefinition } from './definition.ts';
import { fieldsEqual, jsonEqual } from './equal.ts';
import { cleanMetadata, validateMetadata, validateMetadataUpdate } from './metadata.ts';
import { isNamespaceDefinition, namespaceFinalizers } from './namespaces.ts';
import { checkObject } from './object-shape.ts';
import { checkReplicas } from './replicas.ts';
import type { ObjectRef, WriteOptions } from './storage.ts';

export interface UpdateOptions extends WriteOptions {
  /** REST demands a resourceVersion for the PUT of a custom resource, in-process writers and patches need not give one. */
  requireResourceVersion?: boolean;
  /** The body is the result of a server-side apply: its managedFields are right already. */
  fieldsTracked?: boolean;
}

/** Replaces an object, or the part of it that the subresource stands for. */
export function updateObject(
  context: ResourceContext,
  definition: ResourceDefinition,
  ref: ObjectRef,
  body: unknown,
  options: UpdateOptions = {},
): Promise<Written> {
  return onHeads(context, [entryKey(definition, ref)], () => replace(context, definition, ref, body, options));
}

async function replace(
  context: ResourceContext,
  definition: ResourceDefinition,
  ref: ObjectRef,
  body: unknown,
  options: UpdateOptions,
): Promise<Written> {
  const given = checkObject(definition, ref.namespace, body, ref.name);
  const before = context.store.head(entryKey(definition, ref));
  if (before === undefined) throw notFound(definition, ref.name);
  const existing = viewOf(definition, before);
  checkVersion(definition, given.metadata, existing.metadata, options.requireResourceVersion ?? false);

  const fieldValidation = options.fieldValidation ?? 'Ignore';
  const cleaned = cleanMetadata(definition, given.metadata, fieldValidation);
  validateMetadataUpdate(definition, cleaned.metadata, existing.metadata);
  const merged = mergeBySubresource(
    definition,
    { ...given, metadata: cleaned.metadata },
    existing,
    options.subresource,
  );
  if (options.fieldsTracked)
    merged.metadata = { ...merged.metadata, managedFields: given.metadata.managedFields ?? [] };
  validateMetadata(definition, merged.metadata);

  const operation = options.subresource === 'status' ? 'updateStatus' : 'update';
  const admitted = definition.admit(merged, { operation, existing, fieldValidation });
  checkReplicas(definition, admitted.object);
  const warnings = [...cleaned.warnings, ...admitted.warnings];
  const updated = withGeneration(definition, admitted.object, existing);
  const { fieldManager, subresource } = options;
  const object = options.fieldsTracked
    ? updated
    : trackUpdate({ definition, existing, updated, fieldManager, subresource, now: context.now() });
  const dryRun = options.dryRun ?? false;
  if (isReleased(definition, object))
    return { entry: await removeObject(context, definition, object, dryRun), warnings };
  // A write that changes nothing is not written: the version stays, and no watcher wakes.
  if (isSame(object, existing)) return { entry: before, warnings };
  return { entry: await putObject(context, definition, object, dryRun), warnings };
}

/** Whether a deleting object is held by nothing any more. */
export function isReleased(definition: ResourceDefinition, object: KubernetesObject): boolean {
  if (object.metadata.deletionTimestamp === undefined || (object.metadata.finalizers?.length ?? 0) > 0) return false;
  return !isNamespaceDefinition(definition) || namespaceFinalizers(object).length === 0;
}

function checkVersion(
  definition: ResourceDefinition,
  given: ObjectMeta,
  existing: ObjectMeta,
  requireResourceVersion: boolean,
): void {
  if (given.uid && given.uid !== existing.uid) {
    throw conflict(
      definition,
      existing.name,
      `Precondition failed: UID in precondition: ${given.uid}, UID in object meta: ${existing.uid}`,
    );
  }
  if (given.resourceVersion) {
    if (given.resourceVersion !== existing.resourceVersion) throw conflict(definition, existing.name);
  } else if (requireResourceVersion) {
    const cause: FieldCause = {
      field: 'metadata.resourceVersion',
      reason: 'FieldValueInvalid',
      message: 'Invalid value: 0x0: must be specified for an update',
    };
    throw invalid(definition, existing.name, [cause]);
  }
}

function mergeBySubresource(
  definition: ResourceDefinition,
  given: KubernetesObject,
  existing: KubernetesObject,
  subresource: WriteOptions['subresource'],
): KubernetesObject {
  if (subresource === 'status') return withField(existing, 'status', given.status);
  if (subresource === 'finalize') {
    if (!isNamespaceDefinition(definition)) throw new ApiError('NotFound');
    return withField(existing, 'spec', given.spec);
  }
  const object = { ...given, metadata: keepSystemFields(given.metadata, existing.metadata) };
  if (!definition.status) return object;
  const kept = withField(object, 'status', existing.status);
  // The finalizers of a namespace are taken away through its own subresource only.
  return isNamespaceDefinition(definition) ? withField(kept, 'spec', existing.spec) : kept;
}

function withField(object: KubernetesObject, field: string, value: unknown): KubernetesObject {
  const copy = { ...object };
  if (value === undefined) delete copy[field];
  else copy[field] = value;
  return copy;
}

const systemFields = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'resourceVersion',
  'namespace',
] as const;

function keepSystemFields(given: ObjectMeta, existing: ObjectMeta): ObjectMeta {
  const metadata: ObjectMeta = { ...given };
  for (const field of systemFields) {
    const value = existing[field];
    if (value === undefined) delete metadata[field];
    else Object.assign(metadata, { [field]: value });
  }
  return metadata;
}

function withGeneration(
  definition: ResourceDefinition,
  object: KubernetesObject,
  existing: KubernetesObject,
): KubernetesObject {
  if (!definition.generation) return object;
  const except = definition.status ? ['metadata', 'status'] : ['metadata'];
  if (fieldsEqual(object, existing, except)) return object;
  return { ...object, metadata: { ...object.metadata, generation: (existing.metadata.generation ?? 0) + 1 } };
}

function isSame(object: KubernetesObject, existing: KubernetesObject): boolean {
  return (
    fieldsEqual(object, existing, ['metadata']) &&
    fieldsEqual(metaOf(object), metaOf(existing), ['managedFields']) &&
    sameManagers(object, existing)
  );
}

function metaOf(object: KubernetesObject): Record<string, unknown> {
  return object.metadata;
}

/** The time of an entry alone is not a change. */
function sameManagers(object: KubernetesObject, existing: KubernetesObject): boolean {
  const timeless = (fields: unknown) =>
    Array.isArray(fields) ? fields.map((field: object) => ({ ...field, time: undefined })) : [];
  return jsonEqual(timeless(object.metadata.managedFields), timeless(existing.metadata.managedFields));
}
