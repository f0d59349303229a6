import type { OpenApiSchema } from '../../resources/definition.ts';
import { jsonEqual } from '../../resources/equal.ts';
import { childOf, emptySet, type FieldSet } from './field-set.ts';
import { fieldSchema, granularityOf, itemKey, itemSchema } from './merge-schema.ts';

/** What is different between two states of an object. */
export interface Changes {
  /** Fields that have another value now, or were not there before. */
  written: FieldSet;
  /** Fields that are gone. */
  removed: FieldSet;
}

export function compare(schema: OpenApiSchema, before: unknown, after: unknown): Changes {
  const changes = { written: emptySet(), removed: emptySet() };
  visit(schema, before, after, changes);
  changes.written.member = false;
  changes.removed.member = false;
  return changes;
}

function visit(schema: OpenApiSchema | undefined, before: unknown, after: unknown, changes: Changes): void {
  if (before === undefined) changes.written.member = true;
  else if (after === undefined) changes.removed.member = true;
  const granularity = granularityOf(schema, after ?? before);
  const other = granularityOf(schema, before ?? after);
  if (granularity === 'whole' || other !== granularity) {
    if (before !== undefined && after !== undefined && !jsonEqual(before, after)) changes.written.member = true;
    return;
  }
  const [left, right] = [members(schema, granularity, before), members(schema, granularity, after)];
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    const inner = key.startsWith('f:') ? fieldSchema(schema, key.slice(2)) : itemSchema(schema);
    const below = { written: childOf(changes.written, key), removed: childOf(changes.removed, key) };
    visit(inner, left.get(key), right.get(key), below);
    for (const part of ['written', 'removed'] as const) {
      if (!below[part].member && below[part].children.size === 0) changes[part].children.delete(key);
    }
  }
}

/** The fields or items of a value by their keys. */
function members(schema: OpenApiSchema | undefined, granularity: string, value: unknown): Map<string, unknown> {
  if (value === undefined || value === null) return new Map();
  if (granularity === 'fields') return new Map(Object.entries(value).map(([name, field]) => [`f:${name}`, field]));
  return new Map((value as unknown[]).map((item) => [itemKey(schema, item), item]));
}
