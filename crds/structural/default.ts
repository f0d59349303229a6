import { type AnySchema, isObject, type Schema, schemaOfKey } from './schema.ts';

/**
 * Fills in the defaults of a structural schema, in place, as the API server does: also inside of values that were defaulted themselves.
 * A null where the schema does not allow one counts as absent.
 */
export function applyDefaults(schema: AnySchema, value: unknown): void {
  dropNulls(schema as Schema, value);
  fill(schema as Schema, value);
}

function fill(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) {
    if (!schema.items) return;
    for (let index = 0; index < value.length; index++) {
      if (value[index] === null && !schema.items.nullable && schema.items.default !== undefined) {
        value[index] = structuredClone(schema.items.default);
      }
      fill(schema.items, value[index]);
    }
  } else if (isObject(value)) {
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      if (property.default === undefined) continue;
      const current = Object.hasOwn(value, key) ? value[key] : undefined;
      if (current === undefined || (current === null && !property.nullable))
        value[key] = structuredClone(property.default);
    }
    for (const key of Object.keys(value)) {
      const inner = schemaOfKey(schema, key);
      if (!inner) continue;
      if (value[key] === null && !inner.nullable && inner.default !== undefined)
        value[key] = structuredClone(inner.default);
      fill(inner, value[key]);
    }
  }
}

function dropNulls(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) {
    if (schema.items) for (const item of value) dropNulls(schema.items, item);
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      const inner = schemaOfKey(schema, key);
      if (!inner) continue;
      if (value[key] === null && !inner.nullable && inner.default === undefined) delete value[key];
      else dropNulls(inner, value[key]);
    }
  }
}
