import type { FieldCause } from '../http/errors.ts';
import type { AdmissionContext, KubernetesObject, ResourceDefinition } from '../resources/definition.ts';
import { jsonEqual } from '../resources/equal.ts';
import { dataKeyProblem } from '../selectors/label-syntax.ts';
import { decodedSize } from './base64.ts';
import { ageColumn, defineBuiltin } from './define.ts';
import { boolean, kind, stringMap } from './schema-builder.ts';

/** As in etcd-backed servers; bigger things belong into volumes. */
export const maxDataBytes = 1024 * 1024;

export const configMapDefinition: ResourceDefinition = defineBuiltin({
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  shortNames: ['cm'],
  columns: [
    {
      name: 'Data',
      type: 'string',
      description: 'How many entries data and binaryData have.',
      cell: (object) => count(object.data) + count(object.binaryData),
    },
    ageColumn,
  ],
  schema: kind('Configuration data that tasks read as environment variables or files.', {
    data: stringMap('Text by key. Keys consist of letters, digits, `-`, `_` and `.`, and are not in binaryData too.'),
    binaryData: stringMap('Base64 of any bytes by key.', { type: 'string', format: 'byte' }),
    immutable: boolean('If true, data cannot be changed and this field cannot be unset; delete and create anew.'),
  }),
  check: (object, context) => [...keyCauses(object), ...immutableCauses(object, context, ['data', 'binaryData'])],
});

function keyCauses(object: KubernetesObject): FieldCause[] {
  const data = (object.data ?? {}) as Record<string, string>;
  const binary = (object.binaryData ?? {}) as Record<string, string>;
  const causes: FieldCause[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(data)) {
    causes.push(...dataKeyCauses('data', key));
    if (key in binary) {
      causes.push({
        reason: 'FieldValueInvalid',
        field: `data[${key}]`,
        message: `Invalid value: "${key}": duplicate of key present in binaryData`,
      });
    }
    size += Buffer.byteLength(value);
  }
  for (const [key, value] of Object.entries(binary)) {
    causes.push(...dataKeyCauses('binaryData', key));
    size += decodedSize(value);
  }
  if (size > maxDataBytes) causes.push(tooLong(''));
  return causes;
}

export function dataKeyCauses(field: string, key: string): FieldCause[] {
  const problem = dataKeyProblem(key);
  return problem
    ? [{ reason: 'FieldValueInvalid', field: `${field}[${key}]`, message: `Invalid value: "${key}": ${problem}` }]
    : [];
}

export function tooLong(field: string): FieldCause {
  return { reason: 'FieldValueTooLong', field, message: `Too long: may not be more than ${maxDataBytes} bytes` };
}

/** The `immutable` flag of config maps and secrets: once true it stays, and the data with it. */
export function immutableCauses(
  object: KubernetesObject,
  { existing }: AdmissionContext,
  fields: string[],
): FieldCause[] {
  if (existing?.immutable !== true) return [];
  const forbidden = (field: string): FieldCause => ({
    reason: 'FieldValueForbidden',
    field,
    message: 'Forbidden: field is immutable when `immutable` is set',
  });
  return [
    ...(object.immutable === true ? [] : [forbidden('immutable')]),
    ...fields.filter((field) => !jsonEqual(object[field] ?? {}, existing[field] ?? {})).map(forbidden),
  ];
}

function count(map: unknown): number {
  return Object.keys((map as object | undefined) ?? {}).length;
}
