import { type AnySchema, isObject, type Schema } from './schema.ts';

/**
 * Removes fields that the schema does not know, in place, and returns their paths (`spec.containers[0].nmae`).
 * apiVersion, kind and metadata of the document itself, and of embedded resources, are left alone.
 */
export function prune(schema: AnySchema, value: unknown): string[] {
  const unknown: string[] = [];
  visit({ ...(schema as Schema), 'x-kubernetes-embedded-resource': true }, value, '', unknown);
  return unknown;
}

const RESOURCE_FIELDS = new Set(['apiVersion', 'kind', 'metadata']);

function visit(schema: Schema, value: unknown, path: string, unknown: string[]): void {
  if (Array.isArray(value)) {
    // Items without a schema of their own are free only where the schema says so; a structural schema always has one.
    if (schema.items)
      for (const [index, item] of value.entries()) visit(schema.items, item, `${path}[${index}]`, unknown);
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) visitField(schema, value, key, path, unknown);
  }
}

function visitField(
  schema: Schema,
  value: Record<string, unknown>,
  key: string,
  path: string,
  unknown: string[],
): void {
  const fieldPath = path ? `${path}.${key}` : key;
  const property = schema.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
  if (schema['x-kubernetes-embedded-resource'] && RESOURCE_FIELDS.has(key)) return;
  if (property) visit(property, value[key], fieldPath, unknown);
  else if (isObject(schema.additionalProperties))
    visit(schema.additionalProperties as Schema, value[key], fieldPath, unknown);
  else if (!schema['x-kubernetes-preserve-unknown-fields'] && schema.additionalProperties !== true) {
    delete value[key];
    unknown.push(fieldPath);
  }
}
