import type { KubernetesObject, ResourceDefinition } from '../../resources/definition.ts';
import { compare } from './compare.ts';
import { difference, emptySet, isEmpty, union } from './field-set.ts';
import { isSameManager, type Manager, managersOf, withManagers } from './managers.ts';
import { mergeSchemaOf } from './merge-schema.ts';
import { ownable } from './owned-fields.ts';

export interface UpdateTracking {
  definition: ResourceDefinition;
  /** The object before. */
  existing: KubernetesObject;
  /** The object as it will be stored. Its managedFields are those that the writer sent. */
  updated: KubernetesObject;
  fieldManager: string | undefined;
  subresource: string | undefined;
  now: Date;
}

/**
 * Who owns what after an update that is no apply: the writer owns what it changed, and others lose that. Objects that nobody ever applied with server-side
 * apply are not tracked, which would cost every write; the first apply finds them owned by `before-first-apply`.
 */
export function trackUpdate({
  definition,
  existing,
  updated,
  fieldManager,
  subresource,
  now,
}: UpdateTracking): KubernetesObject {
  if (!existing.metadata.managedFields?.length) return withoutEntries(updated);
  const sent = updated.metadata.managedFields;
  // A list that was emptied on purpose ends the tracking; a client that does not know the field leaves it as it was.
  if (sent !== undefined && sent.length > 0 && sent.every((entry) => Object.keys(entry as object).length === 0)) {
    return withoutEntries(updated);
  }
  const before = managersOf(sent === undefined ? existing : updated);
  const { written, removed } = compare(mergeSchemaOf(definition), existing, updated);
  const [mine, gone] = [ownable(written, definition, subresource), ownable(removed, definition, subresource)];
  if (isEmpty(mine) && isEmpty(gone)) return withManagers(updated, before);
  const writer: Manager = {
    manager: fieldManager || 'unknown',
    operation: 'Update',
    apiVersion: updated.apiVersion,
    time: `${now.toISOString().slice(0, 19)}Z`,
    fields: emptySet(),
    ...(subresource && { subresource }),
  };
  const own = before.find((manager) => isSameManager(manager, writer));
  const others = before
    .filter((manager) => manager !== own)
    .map((manager) => ({ ...manager, fields: difference(difference(manager.fields, mine), gone) }));
  const fields = difference(union(own?.fields ?? emptySet(), mine), gone);
  return withManagers(updated, [...others, { ...writer, fields }]);
}

function withoutEntries(object: KubernetesObject): KubernetesObject {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
