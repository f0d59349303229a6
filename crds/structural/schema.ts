/** The part of a structural schema that is looked at here: OpenAPI v3 with the x-kubernetes-* extensions, as plain data. */

export interface Schema {
  type?: string;
  format?: string;
  description?: string;
  default?: unknown;
  nullable?: boolean;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  required?: string[];
  enum?: unknown[];
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-validations'?: ValidationRule[];
  [keyword: string]: unknown;
}

export interface ValidationRule {
  rule: string;
  message?: string;
  messageExpression?: string;
  reason?: string;
  fieldPath?: string;
  optionalOldSelf?: boolean;
}

/** Schemas come from documents, so callers hold them as plain records. */
export type AnySchema = Schema | Record<string, unknown>;

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The schema of an object's field, or undefined when the schema does not know it. */
export function schemaOfKey(schema: Schema, key: string): Schema | undefined {
  if (schema.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key];
  return isObject(schema.additionalProperties) ? (schema.additionalProperties as Schema) : undefined;
}

/** `a.b` for fields, `a[0]` for items, `a[key]` for map keys. */
export function childPath(path: string, schema: Schema, key: string): string {
  const named = schema.properties !== undefined && Object.hasOwn(schema.properties, key);
  return isObject(schema.additionalProperties) && !named ? `${path}[${key}]` : path ? `${path}.${key}` : key;
}
