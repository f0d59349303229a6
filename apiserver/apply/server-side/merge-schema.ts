import { listMap, object, string } from '../../builtin/schema-builder.ts';
import type { OpenApiSchema, ResourceDefinition } from '../../resources/definition.ts';
import { isObject } from '../merge-patch.ts';

/** How a value takes part in merging and ownership: as a whole, by its fields, or by its items. */
export type Granularity = 'whole' | 'fields' | 'items';

/** The schema by which objects of a kind are merged: its own, with that of metadata. */
export function mergeSchemaOf(definition: Pick<ResourceDefinition, 'schema'>): OpenApiSchema {
  const known = cache.get(definition.schema);
  if (known) return known;
  const properties = definition.schema.properties as Record<string, OpenApiSchema> | undefined;
  const schema = { ...definition.schema, type: 'object', properties: { ...properties, metadata } };
  cache.set(definition.schema, schema);
  return schema;
}

const cache = new WeakMap<object, OpenApiSchema>();

const metadata = object({
  labels: { type: 'object', additionalProperties: { type: 'string' } },
  annotations: { type: 'object', additionalProperties: { type: 'string' } },
  finalizers: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
  ownerReferences: listMap(['uid'], object({ uid: string('') }, '', { 'x-kubernetes-map-type': 'atomic' }), ''),
});

/** Lists without a declared type are taken as a whole, objects field by field. */
export function granularityOf(schema: OpenApiSchema | undefined, value: unknown): Granularity {
  if (isObject(value)) return schema?.['x-kubernetes-map-type'] === 'atomic' ? 'whole' : 'fields';
  if (!Array.isArray(value)) return 'whole';
  const listType = schema?.['x-kubernetes-list-type'];
  return listType === 'map' || listType === 'set' ? 'items' : 'whole';
}

export function fieldSchema(schema: OpenApiSchema | undefined, name: string): OpenApiSchema | undefined {
  const properties = schema?.properties as Record<string, OpenApiSchema> | undefined;
  if (properties && Object.hasOwn(properties, name)) return properties[name];
  return isObject(schema?.additionalProperties) ? schema.additionalProperties : undefined;
}

/** Whether the schema names the field itself, as opposed to a key of a map. */
export function isDeclared(schema: OpenApiSchema | undefined, name: string): boolean {
  return Object.hasOwn((schema?.properties ?? {}) as object, name);
}

export function itemSchema(schema: OpenApiSchema | undefined): OpenApiSchema | undefined {
  return schema?.items as OpenApiSchema | undefined;
}

/** The key of a list item in field sets: its key fields (defaults filled in), or its value. */
export function itemKey(schema: OpenApiSchema | undefined, item: unknown): string {
  if (schema?.['x-kubernetes-list-type'] !== 'map') return `v:${JSON.stringify(item)}`;
  const names = [...((schema['x-kubernetes-list-map-keys'] ?? []) as string[])].sort();
  const values = names.map((name): [string, unknown] => {
    const given = isObject(item) ? item[name] : undefined;
    return [name, given === undefined ? fieldSchema(itemSchema(schema), name)?.default : given];
  });
  return `k:${JSON.stringify(Object.fromEntries(values.filter(([, value]) => value !== undefined)))}`;
}
