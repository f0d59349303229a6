import type { OpenApiSchema } from '../../resources/definition.ts';
import { isObject } from '../merge-patch.ts';
import { childOf, emptySet, type FieldSet } from './field-set.ts';
import { fieldSchema, granularityOf, isDeclared, itemKey, itemSchema } from './merge-schema.ts';

/** The fields that a document sets: what its applier will own. */
export function fieldsOf(schema: OpenApiSchema, value: unknown): FieldSet {
  const set = emptySet();
  collect(schema, value, set);
  set.member = false;
  return set;
}

function collect(schema: OpenApiSchema | undefined, value: unknown, set: FieldSet): void {
  const granularity = granularityOf(schema, value);
  if (granularity === 'whole' || isEmptyCollection(value)) {
    set.member = true;
  } else if (granularity === 'fields') {
    for (const [name, field] of Object.entries(value as object)) {
      const child = childOf(set, `f:${name}`);
      collect(fieldSchema(schema, name), field, child);
      // A key of a map is there by being set, whatever is in it.
      if (!isDeclared(schema, name)) child.member = true;
    }
  } else {
    for (const item of value as unknown[]) {
      const child = childOf(set, itemKey(schema, item));
      collect(itemSchema(schema), item, child);
      child.member = true;
    }
  }
}

function isEmptyCollection(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}
