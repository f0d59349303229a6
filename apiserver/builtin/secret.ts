import type { FieldCause } from '../http/errors.ts';
import type { AdmissionContext, KubernetesObject, ResourceDefinition } from '../resources/definition.ts';
import { decodedSize } from './base64.ts';
import { dataKeyCauses, immutableCauses, maxDataBytes, tooLong } from './config-map.ts';
import { ageColumn, defineBuiltin } from './define.ts';
import { boolean, kind, string, stringMap } from './schema-builder.ts';

export const secretDefinition: ResourceDefinition = defineBuiltin({
  group: '',
  version: 'v1',
  plural: 'secrets',
  kind: 'Secret',
  selectableFields: ['.type'],
  columns: [
    { name: 'Type', type: 'string', description: 'What the data is for.', cell: (object) => object.type ?? '' },
    {
      name: 'Data',
      type: 'string',
      description: 'How many entries the secret has.',
      cell: (object) => Object.keys((object.data as object | undefined) ?? {}).length,
    },
    ageColumn,
  ],
  schema: kind('Confidential data that tasks read as environment variables or files.', {
    data: stringMap('Base64 of any bytes by key. Keys consist of letters, digits, `-`, `_` and `.`.', {
      type: 'string',
      format: 'byte',
    }),
    stringData: stringMap('Text by key, for writing only: it is put into data, and wins over entries there.'),
    type: string('What the data is for; some types demand certain keys. Default Opaque. Cannot be updated.'),
    immutable: boolean('If true, data cannot be changed and this field cannot be unset; delete and create anew.'),
  }),
  prepare: moveStringData,
  check: (object, context) => [
    ...dataCauses(object),
    ...typeCauses(object, context),
    ...immutableCauses(object, context, ['data']),
  ],
});

/** Keys that a type demands; the same types as in the genuine server. */
const requiredKeys: Record<string, string[]> = {
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};

function moveStringData(object: KubernetesObject): void {
  object.type ??= 'Opaque';
  if (object.type === '') object.type = 'Opaque';
  const text = object.stringData;
  if (typeof text !== 'object' || text === null) return;
  const data: Record<string, unknown> = { ...(object.data as Record<string, string> | undefined) };
  for (const [key, value] of Object.entries(text)) {
    data[key] = typeof value === 'string' ? Buffer.from(value).toString('base64') : value;
  }
  object.data = data;
  delete object.stringData;
}

function dataCauses(object: KubernetesObject): FieldCause[] {
  const data = (object.data ?? {}) as Record<string, string>;
  const causes = Object.keys(data).flatMap((key) => dataKeyCauses('data', key));
  const size = Object.values(data).reduce((sum, value) => sum + decodedSize(value), 0);
  return size > maxDataBytes ? [...causes, tooLong('data')] : causes;
}

function typeCauses(object: KubernetesObject, { existing }: AdmissionContext): FieldCause[] {
  const type = object.type as string;
  if (existing && existing.type !== type) {
    const message = `Invalid value: ${JSON.stringify(type)}: field is immutable`;
    return [{ reason: 'FieldValueInvalid', field: 'type', message }];
  }
  const data = (object.data ?? {}) as Record<string, string>;
  if (type === 'kubernetes.io/basic-auth' && !('username' in data) && !('password' in data)) {
    return ['username', 'password'].map((key) => required(`data[${key}]`));
  }
  return (requiredKeys[type] ?? []).filter((key) => !(key in data)).map((key) => required(`data[${key}]`));
}

function required(field: string): FieldCause {
  return { reason: 'FieldValueRequired', field, message: 'Required value' };
}
