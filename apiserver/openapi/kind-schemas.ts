import { string } from '../builtin/schema-builder.ts';
import type { OpenApiSchema, ResourceDefinition } from '../resources/definition.ts';
import { listMetaName, objectMetaName, ref } from './meta-schemas.ts';
import { groupVersionKind, schemaName } from './schema-names.ts';

/** The published schemas of a definition: the kind, and its list. */
export function kindSchemas(definition: ResourceDefinition): Record<string, OpenApiSchema> {
  const name = schemaName(definition);
  const selectable = definition.selectableFields.map((path) => ({ fieldPath: path.slice(1) }));
  const published = publishable(definition.schema) as OpenApiSchema;
  return {
    [name]: {
      ...published,
      type: 'object',
      properties: {
        ...(published.properties as Record<string, OpenApiSchema>),
        apiVersion: string('The group and version of this representation.'),
        kind: string('The kind of resource this object represents. Cannot be updated.'),
        metadata: { description: "The object's metadata.", allOf: [{ $ref: ref(objectMetaName) }] },
      },
      'x-kubernetes-group-version-kind': [groupVersionKind(definition)],
      ...(selectable.length > 0 && { 'x-kubernetes-selectable-fields': selectable }),
    },
    ...(definition.review ? {} : { [`${name}List`]: listSchema(definition, name) }),
  };
}

function listSchema(definition: ResourceDefinition, itemName: string): OpenApiSchema {
  return {
    description: `A list of ${definition.kind} objects.`,
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: string('The group and version of this representation.'),
      kind: string(`${definition.listKind}.`),
      metadata: { description: "The list's metadata.", allOf: [{ $ref: ref(listMetaName) }] },
      items: { description: 'The objects.', type: 'array', items: { $ref: ref(itemName) } },
    },
    'x-kubernetes-group-version-kind': [{ ...groupVersionKind(definition), kind: definition.listKind }],
  };
}

/** int-or-string has no type in OpenAPI v3; clients know it by this pair. */
function publishable(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(publishable);
  if (typeof schema !== 'object' || schema === null) return schema;
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) out[key] = literal.has(key) ? value : publishable(value);
  if (out['x-kubernetes-int-or-string'] === true && out.anyOf === undefined && out.allOf === undefined) {
    delete out.type;
    out.anyOf = [{ type: 'integer' }, { type: 'string' }];
  }
  return out;
}

/** Values of these keywords are data, not schemas. */
const literal = new Set([
  'default',
  'enum',
  'example',
  'required',
  'x-kubernetes-validations',
  'x-kubernetes-list-map-keys',
]);
