import type { KubernetesObject } from '../../resources/definition.ts';
import { decodeSet, encodeSet, type FieldSet, isEmpty } from './field-set.ts';

/** One entry of metadata.managedFields, decoded. */
export interface Manager {
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  time?: string;
  subresource?: string;
  fields: FieldSet;
}

/** The managers of an object. Entries that nobody can read are as if they were not there. */
export function managersOf(object: KubernetesObject): Manager[] {
  return (object.metadata.managedFields ?? []).flatMap((given): Manager[] => {
    const { manager, operation, apiVersion, time, subresource, fieldsV1 } = given as Record<string, unknown>;
    const fields = decodeSet(fieldsV1);
    if (!fields || (operation !== 'Apply' && operation !== 'Update')) return [];
    return [
      {
        manager: String(manager ?? ''),
        operation,
        apiVersion: String(apiVersion ?? object.apiVersion),
        fields,
        ...(typeof time === 'string' && { time }),
        ...(typeof subresource === 'string' && subresource !== '' && { subresource }),
      },
    ];
  });
}

/** The object with these managers; those without fields are left out. */
export function withManagers(object: KubernetesObject, managers: readonly Manager[]): KubernetesObject {
  const managedFields = managers
    .filter(({ fields }) => !isEmpty(fields))
    .sort(inOrder)
    .map(({ manager, operation, apiVersion, time, subresource, fields }) => ({
      manager,
      operation,
      apiVersion,
      ...(time && { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: encodeSet(fields),
      ...(subresource && { subresource }),
    }));
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata: { ...metadata, ...(managedFields.length > 0 && { managedFields }) } };
}

/** Appliers first, then by time and name, as the genuine server lists them. */
function inOrder(a: Manager, b: Manager): number {
  if (a.operation !== b.operation) return a.operation === 'Apply' ? -1 : 1;
  if (a.time !== b.time) return (a.time ?? '') < (b.time ?? '') ? -1 : 1;
  if (a.manager !== b.manager) return a.manager < b.manager ? -1 : 1;
  return (a.subresource ?? '') < (b.subresource ?? '') ? -1 : 1;
}

export function isSameManager(a: Omit<Manager, 'fields'>, b: Omit<Manager, 'fields'>): boolean {
  return a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource;
}
