/** Puts the CRD documents together from crds/sources: resolves `$ref`, so that a piece of schema has one home. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';

export type SchemaNode = { [key: string]: unknown };

/** Reads a source document and resolves every `$ref`; `x-type` markers (names of TypeScript types) are still in it. */
export function compose(file: string): SchemaNode {
  return resolve(read(file), dirname(file), []) as SchemaNode;
}

/** What is shipped: the same document without our markers. */
export function withoutMarkers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutMarkers);
  if (!isNode(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'x-type')
      .map(([key, inner]) => [key, withoutMarkers(inner)]),
  );
}

function resolve(value: unknown, folder: string, trail: string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => resolve(item, folder, trail));
  if (!isNode(value)) return value;
  // In YAML's flow style a comma in a text without quotes starts a new, empty key.
  for (const [key, text] of Object.entries(value))
    if (text === null) throw new Error(`stray key "${key}": put the text before it in quotes`);
  if (typeof value.$ref !== 'string') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolve(inner, folder, trail)]));
  }
  if (trail.includes(value.$ref)) throw new Error(`${value.$ref} refers to itself through ${trail.join(' > ')}`);
  const { piece, pieceFolder } = locate(value.$ref, folder);
  const { $ref, ...own } = value;
  const base = resolve(piece, pieceFolder, [...trail, $ref as string]) as SchemaNode;
  return merge(base, resolve(own, folder, trail) as SchemaNode);
}

/** `own` wins; `properties` are merged one by one, and rules and required fields are added to those of the base. */
function merge(base: SchemaNode, own: SchemaNode): SchemaNode {
  const result: SchemaNode = { ...base };
  for (const [key, value] of Object.entries(own)) {
    const before = result[key];
    if (Array.isArray(before) && Array.isArray(value) && (key === 'required' || key === 'x-kubernetes-validations')) {
      result[key] = [...before, ...value];
    } else if (key === 'properties' && isNode(before) && isNode(value)) {
      const properties: SchemaNode = { ...before };
      for (const [name, schema] of Object.entries(value)) {
        const inherited = properties[name];
        properties[name] = isNode(inherited) && isNode(schema) ? merge(inherited, schema) : schema;
      }
      result.properties = properties;
    } else {
      result[key] = value;
    }
  }
  return result;
}

function locate(ref: string, folder: string): { piece: unknown; pieceFolder: string } {
  const [file, name] = ref.split('#');
  const path = join(folder, file!);
  const pieces = read(path);
  const piece = pieces[name!];
  if (!isNode(piece)) throw new Error(`${path} has no piece named ${name}`);
  return { piece, pieceFolder: dirname(path) };
}

const cache = new Map<string, SchemaNode>();

function read(path: string): SchemaNode {
  const known = cache.get(path);
  if (known) return known;
  const document = parse(readFileSync(path, 'utf8'), { strict: true, uniqueKeys: true }) as SchemaNode;
  cache.set(path, document);
  return document;
}

function isNode(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
