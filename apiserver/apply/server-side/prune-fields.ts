import type { OpenApiSchema } from '../../resources/definition.ts';
import { type FieldSet, isEmpty } from './field-set.ts';
import { fieldSchema, granularityOf, itemKey, itemSchema } from './merge-schema.ts';

/**
 * Removes, in place, what the applier set the last time (`last`) and nobody owns now (`owned`). What nobody ever owned, defaults above all, stays
 * unless the field or item it lies in goes.
 */
export function pruneFields(schema: OpenApiSchema | undefined, value: unknown, last: FieldSet, owned: FieldSet): void {
  const granularity = granularityOf(schema, value);
  if (granularity === 'fields') {
    const object = value as Record<string, unknown>;
    for (const name of Object.keys(object)) {
      const [before, now] = [last.children.get(`f:${name}`), owned.children.get(`f:${name}`)];
      if (isEmpty(before)) continue;
      if (isEmpty(now)) delete object[name];
      else pruneFields(fieldSchema(schema, name), object[name], before!, now!);
    }
  } else if (granularity === 'items') {
    const list = value as unknown[];
    for (let index = list.length - 1; index >= 0; index--) {
      const key = itemKey(schema, list[index]);
      const [before, now] = [last.children.get(key), owned.children.get(key)];
      if (isEmpty(before)) continue;
      if (isEmpty(now)) list.splice(index, 1);
      else pruneFields(itemSchema(schema), list[index], before!, now!);
    }
  }
}
