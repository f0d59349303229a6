/**
 * Moves parts of a JSON Schema that occur more than once (a container is described twice in a Task) to `$defs`: ajv then writes their code
 * once, which is most of the memory and time of compiling.
 */
import { isObject, type JsonObject } from './schema.ts';

export function withSharedParts(schema: JsonObject): JsonObject {
  const counts = new Map<string, number>();
  count(schema, counts);
  const definitions = new Map<string, { name: string; schema: JsonObject }>();
  const root = share(schema, counts, definitions, true) as JsonObject;
  const $defs = Object.fromEntries([...definitions.values()].map(({ name, schema: part }) => [name, part]));
  return definitions.size === 0 ? root : { ...root, $defs };
}

/** Smaller ones are cheaper in place. */
const MIN_LENGTH = 200;

function count(node: unknown, counts: Map<string, number>): void {
  for (const part of parts(node)) {
    const text = JSON.stringify(part);
    const before = counts.get(text) ?? 0;
    counts.set(text, before + 1);
    // What is below a part that was seen already was counted with it.
    if (before === 0) count(part, counts);
  }
}

function share(
  node: JsonObject,
  counts: Map<string, number>,
  definitions: Map<string, { name: string; schema: JsonObject }>,
  isRoot = false,
): JsonObject {
  const text = isRoot ? '' : JSON.stringify(node);
  if (text.length >= MIN_LENGTH && (counts.get(text) ?? 0) > 1) {
    let definition = definitions.get(text);
    if (!definition) {
      definition = { name: `part${definitions.size}`, schema: {} };
      definitions.set(text, definition);
      definition.schema = replaceParts(node, (part) => share(part, counts, definitions));
    }
    return { $ref: `#/$defs/${definition.name}` };
  }
  return replaceParts(node, (part) => share(part, counts, definitions));
}

function parts(node: unknown): JsonObject[] {
  const found: JsonObject[] = [];
  if (!isObject(node)) return found;
  replaceParts(node, (part) => {
    found.push(part);
    return part;
  });
  return found;
}

/** A copy with every direct sub-schema replaced. */
function replaceParts(node: JsonObject, replace: (part: JsonObject) => JsonObject): JsonObject {
  const result = { ...node };
  if (isObject(node.properties)) {
    result.properties = Object.fromEntries(
      Object.entries(node.properties).map(([name, part]) => [name, replace(part as JsonObject)]),
    );
  }
  for (const key of ['items', 'additionalProperties', 'not'] as const)
    if (isObject(node[key])) result[key] = replace(node[key]);
  for (const key of ['allOf', 'anyOf', 'oneOf'] as const) {
    const list = node[key];
    if (Array.isArray(list)) result[key] = list.map((part) => replace(part as JsonObject));
  }
  return result;
}
