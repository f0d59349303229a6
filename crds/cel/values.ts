/** JSON values as CEL sees them: typed by the schema, with only the fields that the schema declares. */
import { isObject, type Schema } from '../structural/schema.ts';
import type { FieldsRead } from './environment.ts';

/**
 * The value as a rule sees it that reads only some of its fields. Converted fields are kept in `converted`, which belongs to this value, for the other rules.
 */
export function toCelFields(
  schema: Schema,
  value: unknown,
  fields: FieldsRead,
  converted: Map<string, unknown>,
): unknown {
  if (fields === 'all' || !isObject(value) || !schema.properties || isObject(schema.additionalProperties))
    return toCelValue(schema, value);
  const selected: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(schema.properties)) {
    const field = escapeName(name);
    if (!fields.has(field) || !Object.hasOwn(value, name) || value[name] === undefined || !isVisible(property))
      continue;
    if (!converted.has(field)) converted.set(field, toCelValue(property, value[name]));
    selected[field] = converted.get(field);
  }
  return selected;
}

/**
 * Integers become int (BigInt), date-times become timestamps, bytes become bytes; field names that are no CEL identifiers are escaped.
 * Of the document's own metadata only name and generateName can be seen, as in Kubernetes.
 */
export function toCelValue(schema: Schema, value: unknown, isResource = false): unknown {
  if (value === null || value === undefined) return null;
  if (schema['x-kubernetes-int-or-string']) return typeof value === 'number' ? BigInt(Math.trunc(value)) : value;
  if (Array.isArray(value)) {
    const items = schema.items ?? {};
    // Array.from, not map: a list made by structuredClone can belong to another realm, whose arrays the CEL library does not know.
    return Array.from(value, (item) => toCelValue(items, item));
  }
  if (isObject(value))
    return objectValue(schema, value, isResource || schema['x-kubernetes-embedded-resource'] === true);
  if (typeof value === 'number') return schema.type === 'number' || !Number.isInteger(value) ? value : BigInt(value);
  if (typeof value === 'string') return stringValue(schema, value);
  return value;
}

function objectValue(schema: Schema, value: Record<string, unknown>, isResource: boolean): unknown {
  if (isObject(schema.additionalProperties)) {
    const inner = schema.additionalProperties as Schema;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toCelValue(inner, item)]));
  }
  const fields: [string, unknown][] = [];
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (!Object.hasOwn(value, name) || value[name] === undefined || !isVisible(property)) continue;
    fields.push([escapeName(name), toCelValue(property, value[name])]);
  }
  return Object.fromEntries(
    isResource ? [...resourceFields(value), ...fields.filter(([name]) => !RESOURCE_FIELDS.has(name))] : fields,
  );
}

const RESOURCE_FIELDS = new Set(['apiVersion', 'kind', 'metadata']);

function resourceFields(value: Record<string, unknown>): [string, unknown][] {
  const metadata = isObject(value.metadata) ? value.metadata : {};
  const visible = ['name', 'generateName']
    .filter((key) => typeof metadata[key] === 'string')
    .map((key) => [key, metadata[key]]);
  return [
    ['apiVersion', value.apiVersion ?? ''],
    ['kind', value.kind ?? ''],
    ['metadata', Object.fromEntries(visible)],
  ];
}

/** What has no type cannot be seen by rules. */
function isVisible(schema: Schema): boolean {
  return schema.type !== undefined || schema['x-kubernetes-int-or-string'] === true;
}

function stringValue(schema: Schema, value: string): unknown {
  if (schema.format === 'date-time' || schema.format === 'date' || schema.format === 'datetime') {
    const time = new Date(value);
    return Number.isNaN(time.getTime()) ? value : time;
  }
  return schema.format === 'byte' ? new Uint8Array(Buffer.from(value, 'base64')) : value;
}

const KEYWORDS = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

const escaped = new Map<string, string>();

/** Remembered: there are as many names as the schemas have, and every rule asks for some. */
function escapeName(name: string): string {
  const known = escaped.get(name);
  if (known !== undefined) return known;
  const result = KEYWORDS.has(name) ? `__${name}__` : escapeCharacters(name);
  if (escaped.size < MOST_NAMES) escaped.set(name, result);
  return result;
}

const MOST_NAMES = 10_000;

function escapeCharacters(name: string): string {
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}
