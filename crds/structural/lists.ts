/** Uniqueness in lists of type `set`, and of the keys in lists of type `map`. */
import { duplicate, type FieldError, invalid } from './errors.ts';
import { childPath, isObject, type Schema, schemaOfKey } from './schema.ts';

export function listErrors(schema: Schema, value: unknown, path: string): FieldError[] {
  const errors: FieldError[] = [];
  visit(schema, value, path, errors);
  return errors;
}

function visit(schema: Schema, value: unknown, path: string, errors: FieldError[]): void {
  if (Array.isArray(value)) {
    if (schema['x-kubernetes-list-type'] === 'set') reportTwins(value, path, errors);
    if (schema['x-kubernetes-list-type'] === 'map')
      visitMap(schema['x-kubernetes-list-map-keys'] ?? [], value, path, errors);
    if (schema.items)
      for (const [index, item] of value.entries()) visit(schema.items, item, `${path}[${index}]`, errors);
  } else if (isObject(value)) {
    for (const [key, inner] of Object.entries(value)) {
      const innerSchema = schemaOfKey(schema, key);
      if (innerSchema) visit(innerSchema, inner, childPath(path, schema, key), errors);
    }
  }
}

function visitMap(keys: string[], value: unknown[], path: string, errors: FieldError[]): void {
  for (const [index, item] of value.entries()) {
    if (item !== null && !isObject(item)) {
      errors.push(invalid(`${path}[${index}]`, item, 'must be an object for an array of list-type map'));
      return;
    }
  }
  const identities = value.map((item) =>
    Object.fromEntries(keys.flatMap((key) => (isObject(item) && item[key] !== undefined ? [[key, item[key]]] : []))),
  );
  reportTwins(identities, path, errors);
}

/** Reports the second of equal values, once. */
function reportTwins(values: unknown[], path: string, errors: FieldError[]): void {
  const seen = new Map<string, number>();
  for (const [index, value] of values.entries()) {
    const text = JSON.stringify(value, sortKeys);
    const times = (seen.get(text) ?? 0) + 1;
    seen.set(text, times);
    if (times === 2) errors.push(duplicate(`${path}[${index}]`, value));
  }
}

function sortKeys(_key: string, value: unknown): unknown {
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)))
    : value;
}
