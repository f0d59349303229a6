import type { OpenApiSchema } from '../resources/definition.ts';

/** Short ways to write the structural schemas of built-in kinds. Each takes the description last, since it is the longest. */

type Extra = Record<string, unknown>;

export function object(properties: Record<string, OpenApiSchema>, description = '', extra: Extra = {}): OpenApiSchema {
  return { type: 'object', ...described(description), properties, ...extra };
}

export function string(description: string, extra: Extra = {}): OpenApiSchema {
  return { type: 'string', ...described(description), ...extra };
}

export function integer(description: string, extra: Extra = {}): OpenApiSchema {
  return { type: 'integer', format: 'int32', ...described(description), ...extra };
}

export function boolean(description: string): OpenApiSchema {
  return { type: 'boolean', ...described(description) };
}

/** RFC 3339 with seconds. */
export function time(description: string): OpenApiSchema {
  return { type: 'string', format: 'date-time', nullable: true, ...described(description) };
}

/** RFC 3339 with microseconds. */
export function microTime(description: string): OpenApiSchema {
  return { type: 'string', format: 'date-time', nullable: true, ...described(description) };
}

export function list(items: OpenApiSchema, description: string, extra: Extra = {}): OpenApiSchema {
  return { type: 'array', ...described(description), items, ...extra };
}

/** A list whose entries are told apart by these fields. */
export function listMap(keys: string[], items: OpenApiSchema, description: string): OpenApiSchema {
  return list(items, description, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys,
    ...(keys.length === 1 && { 'x-kubernetes-patch-strategy': 'merge', 'x-kubernetes-patch-merge-key': keys[0] }),
  });
}

/** A list that strategic merge patches merge by this key; unlike listMap, duplicates are not refused. */
export function mergedList(key: string, items: OpenApiSchema, description: string): OpenApiSchema {
  return list(items, description, { 'x-kubernetes-patch-strategy': 'merge', 'x-kubernetes-patch-merge-key': key });
}

export function stringMap(description: string, value: OpenApiSchema = { type: 'string' }): OpenApiSchema {
  return { type: 'object', ...described(description), additionalProperties: value };
}

/** Kept as it is: its form is checked elsewhere. */
export function anything(description: string): OpenApiSchema {
  return { type: 'object', ...described(description), 'x-kubernetes-preserve-unknown-fields': true };
}

/** What every object starts with; `description` says what the kind is. */
export function kind(description: string, fields: Record<string, OpenApiSchema>, extra: Extra = {}): OpenApiSchema {
  return object(
    {
      apiVersion: string('The group and version of this representation.'),
      kind: string('The kind of resource this object represents. Cannot be updated.'),
      metadata: { type: 'object', description: "The object's metadata.", 'x-kubernetes-preserve-unknown-fields': true },
      ...fields,
    },
    description,
    extra,
  );
}

function described(description: string): Extra {
  return description === '' ? {} : { description };
}
