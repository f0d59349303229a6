/** Turns a structural schema into an ajv validator, once per schema. */
import { Ajv, type ValidateFunction } from 'ajv';
import { addFormats } from './formats.ts';
import { toRegExp } from './pattern.ts';
import { type AnySchema, isObject, type Schema } from './schema.ts';
import { withSharedParts } from './shared-parts.ts';

/** The compiled validator of a schema; compiled at its first use and kept as long as the schema object lives. */
export function compiled(schema: AnySchema): ValidateFunction {
  const known = cache.get(schema);
  if (known) return known;
  const validate = newAjv().compile(withSharedParts(toJsonSchema(schema as Schema)));
  cache.set(schema, validate);
  return validate;
}

const cache = new WeakMap<object, ValidateFunction>();

/** Errors carry no values and no texts (`verbose`, `messages`): that would double the size of the code that ajv writes. */
function newAjv(): Ajv {
  const ajv = new Ajv({
    allErrors: true,
    messages: false,
    strict: false,
    validateSchema: false,
    addUsedSchema: false,
    inlineRefs: false,
    code: { regExp: Object.assign(toRegExp, { code: 'toRegExp' }) },
    logger: false,
  });
  addFormats(ajv);
  return ajv;
}

const COPIED = [
  'enum',
  'format',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'multipleOf',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'required',
] as const;

function toJsonSchema(schema: Schema): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const type = schema['x-kubernetes-int-or-string'] ? ['integer', 'string'] : schema.type;
  if (type !== undefined) result.type = schema.nullable ? [...(Array.isArray(type) ? type : [type]), 'null'] : type;
  for (const keyword of COPIED) if (schema[keyword] !== undefined) result[keyword] = schema[keyword];
  if (schema.nullable && Array.isArray(result.enum)) result.enum = [...result.enum, null];
  exclusiveBounds(schema, result);
  if (schema.properties) result.properties = mapValues(schema.properties);
  if (isObject(schema.additionalProperties))
    result.additionalProperties = toJsonSchema(schema.additionalProperties as Schema);
  if (schema.items) result.items = toJsonSchema(schema.items);
  for (const keyword of ['allOf', 'anyOf', 'oneOf'] as const) {
    const parts = schema[keyword];
    if (Array.isArray(parts)) result[keyword] = parts.map((part) => toJsonSchema(part as Schema));
  }
  if (isObject(schema.not)) result.not = toJsonSchema(schema.not as Schema);
  if (schema['x-kubernetes-embedded-resource']) embeddedResource(result);
  return result;
}

/** OpenAPI v3.0 has booleans where JSON Schema has numbers. */
function exclusiveBounds(schema: Schema, result: Record<string, unknown>): void {
  for (const [bound, exclusive] of [
    ['minimum', 'exclusiveMinimum'],
    ['maximum', 'exclusiveMaximum'],
  ] as const) {
    if (schema[exclusive] === true && schema[bound] !== undefined) {
      delete result[bound];
      result[exclusive] = schema[bound];
    }
  }
}

function embeddedResource(result: Record<string, unknown>): void {
  result.required = [
    ...new Set([...((result.required as string[] | undefined) ?? []), 'apiVersion', 'kind', 'metadata']),
  ];
  result.properties = {
    apiVersion: { type: 'string', minLength: 1 },
    kind: { type: 'string', minLength: 1 },
    metadata: { type: 'object' },
    ...(result.properties as object | undefined),
  };
}

function mapValues(properties: Record<string, Schema>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, toJsonSchema(schema)]));
}
