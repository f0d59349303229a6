import { ApiError, badRequest, type FieldCause } from '../../http/errors.ts';
import type { KubernetesObject, ResourceDefinition } from '../../resources/definition.ts';
import { jsonEqual } from '../../resources/equal.ts';
import { isObject, patchObjectOf } from '../merge-patch.ts';
import { compare } from './compare.ts';
import { difference, emptySet, encodeSet, type FieldSet, intersection, isEmpty, pathsOf, union } from './field-set.ts';
import { fieldsOf } from './fields-of.ts';
import { isSameManager, type Manager, managersOf, withManagers } from './managers.ts';
import { mergeDocuments } from './merge-documents.ts';
import { mergeSchemaOf } from './merge-schema.ts';
import { ownable, writablePart } from './owned-fields.ts';
import { pruneFields } from './prune-fields.ts';

export interface ServerSideApply {
  document: unknown;
  definition: ResourceDefinition;
  existing: KubernetesObject | undefined;
  fieldManager: string | undefined;
  force: boolean;
  subresource: string | undefined;
  now: Date;
}

/** Who is said to own what was there before anybody applied anything. */
const beforeFirstApply = 'before-first-apply';
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * Server-side apply: the document is all that this manager wants. What it sets is set and owned by it, what it set before and does not set now is removed
 * unless another manager owns it too. Setting a field of another manager to another value is a conflict (409) unless forced.
 */
export function serverSideApply(request: ServerSideApply): KubernetesObject {
  const { definition, existing, subresource } = request;
  const fieldManager = demandedManager(request.fieldManager);
  const given = checkedDocument(request.document, definition);
  const document = writablePart(given, definition, subresource);
  const schema = mergeSchemaOf(definition);
  const fields = ownable(fieldsOf(schema, document), definition, subresource);
  const applier: Manager = {
    manager: fieldManager,
    operation: 'Apply',
    apiVersion: document.apiVersion,
    time: `${request.now.toISOString().slice(0, 19)}Z`,
    fields,
    ...(subresource && { subresource }),
  };
  if (!existing) return withManagers(document, [applier]);

  const before = managersBefore(existing, definition);
  const own = before.find((manager) => isSameManager(manager, applier));
  const others = before.filter((manager) => manager !== own);
  const result = mergeDocuments(schema, existing, document) as KubernetesObject;
  if (own) {
    const owned = others.reduce((all, manager) => union(all, manager.fields), fields);
    // Metadata stays whatever is owned in it: it says what the object is.
    pruneFields(schema, result, own.fields, withMetadata(owned));
  }
  const { written, removed } = compare(schema, existing, result);
  const rest = releaseConflicts(others, ownable(written, definition, subresource), existing, request, fieldManager).map(
    (manager) => ({ ...manager, fields: difference(manager.fields, removed) }),
  );
  if (own && jsonEqual(encodeSet(own.fields), encodeSet(fields)) && own.time) applier.time = own.time;
  return withManagers(result, [applier, ...rest]);
}

function demandedManager(fieldManager: string | undefined): string {
  if (fieldManager) return fieldManager;
  const message = 'Required value: is required for apply patch';
  throw new ApiError('Invalid', `PatchOptions.meta.k8s.io "" is invalid: fieldManager: ${message}`, {
    group: 'meta.k8s.io',
    kind: 'PatchOptions',
    causes: [{ reason: 'FieldValueRequired', field: 'fieldManager', message }],
  });
}

function checkedDocument(given: unknown, { group, version, kind }: ResourceDefinition): KubernetesObject {
  const document = patchObjectOf(given, 'server-side apply') as unknown as KubernetesObject;
  const apiVersion = group ? `${group}/${version}` : version;
  if (document.apiVersion !== apiVersion || document.kind !== kind) {
    const found = `${String(document.apiVersion ?? '')}, Kind=${String(document.kind ?? '')}`;
    throw badRequest(`invalid object type: ${found}, expected ${apiVersion}, Kind=${kind}`);
  }
  if (!isObject(document.metadata)) throw badRequest('metadata must be an object');
  if (document.metadata.managedFields !== undefined) throw badRequest('metadata.managedFields must be nil');
  return document;
}

/** Fields that were written before anybody applied have one owner together. Later updates are tracked by `trackUpdate`. */
function managersBefore(existing: KubernetesObject, definition: ResourceDefinition): Manager[] {
  const managers = managersOf(existing);
  if (managers.length > 0) return managers;
  const fields = ownable(fieldsOf(mergeSchemaOf(definition), existing), { ...definition, status: false }, undefined);
  return [{ manager: beforeFirstApply, operation: 'Update', apiVersion: existing.apiVersion, fields }];
}

function withMetadata(set: FieldSet): FieldSet {
  const metadata = set.children.get('f:metadata') ?? emptySet();
  return { ...set, children: new Map([...set.children, ['f:metadata', { ...metadata, member: true }]]) };
}

/** The other managers without the fields that this apply took from them; throws if it may not. */
function releaseConflicts(
  others: Manager[],
  written: FieldSet,
  existing: KubernetesObject,
  { definition, force }: ServerSideApply,
  fieldManager: string,
): Manager[] {
  const migrated = fieldManager === 'kubectl' ? clientSideFields(existing, definition) : undefined;
  const conflicts: { manager: Manager; paths: string[] }[] = [];
  const rest = others.map((manager) => {
    const taken = intersection(manager.fields, written);
    if (isEmpty(taken)) return manager;
    const refused = force ? emptySet() : migrated ? difference(taken, migrated) : taken;
    if (!isEmpty(refused)) conflicts.push({ manager, paths: pathsOf(refused) });
    return { ...manager, fields: difference(manager.fields, taken) };
  });
  if (conflicts.length > 0) throw conflictError(conflicts);
  return rest;
}

/** What `kubectl apply` without --server-side set: kubectl may go over to server-side apply without fighting itself. */
function clientSideFields(existing: KubernetesObject, definition: ResourceDefinition): FieldSet | undefined {
  try {
    const document: unknown = JSON.parse(existing.metadata.annotations?.[lastApplied] ?? '');
    return fieldsOf(mergeSchemaOf(definition), document);
  } catch {
    return undefined;
  }
}

function conflictError(conflicts: { manager: Manager; paths: string[] }[]): ApiError {
  const causes = conflicts.flatMap(({ manager, paths }) =>
    paths.map(
      (field): FieldCause => ({
        reason: 'FieldManagerConflict',
        field,
        message: `conflict with ${managerText(manager)}`,
      }),
    ),
  );
  const list = [...conflicts]
    .sort((a, b) => (a.manager.manager < b.manager.manager ? -1 : 1))
    .map(({ manager, paths }) =>
      [`conflicts with ${managerText(manager)}:`, ...paths.map((path) => `- ${path}`)].join('\n'),
    );
  const message =
    causes.length === 1
      ? `Apply failed with 1 conflict: ${causes[0]!.message}: ${causes[0]!.field}`
      : `Apply failed with ${causes.length} conflicts: ${list.join('\n')}`;
  return new ApiError('Conflict', message, { causes });
}

function managerText({ manager, operation, apiVersion, subresource }: Manager): string {
  const name = JSON.stringify(manager) + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : '');
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}
