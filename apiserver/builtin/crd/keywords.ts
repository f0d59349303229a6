import type { OpenApiSchema } from '../../resources/definition.ts';

/** Every keyword that `openAPIV3Schema` may have; what is not here is an unknown field. */
const keywords = new Set([
  ...['id', '$schema', '$ref', 'description', 'type', 'format', 'title', 'default', 'maximum', 'exclusiveMaximum'],
  ...['minimum', 'exclusiveMinimum', 'maxLength', 'minLength', 'pattern', 'maxItems', 'minItems', 'uniqueItems'],
  ...['multipleOf', 'enum', 'maxProperties', 'minProperties', 'required', 'items', 'allOf', 'oneOf', 'anyOf', 'not'],
  ...['properties', 'additionalProperties', 'patternProperties', 'dependencies', 'additionalItems', 'definitions'],
  ...['externalDocs', 'example', 'nullable', 'x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource'],
  ...['x-kubernetes-int-or-string', 'x-kubernetes-list-map-keys', 'x-kubernetes-list-type', 'x-kubernetes-map-type'],
  'x-kubernetes-validations',
]);

/** Removes unknown keywords from a schema; their paths are returned. */
export function pruneKeywords(schema: unknown, path: string): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  if (Array.isArray(schema)) return schema.flatMap((branch, index) => pruneKeywords(branch, `${path}[${index}]`));
  const unknown: string[] = [];
  const at = schema as OpenApiSchema;
  for (const keyword of Object.keys(at)) {
    if (keywords.has(keyword)) continue;
    unknown.push(`${path}.${keyword}`);
    delete at[keyword];
  }
  for (const keyword of ['properties', 'patternProperties', 'definitions']) {
    for (const [name, child] of Object.entries((at[keyword] ?? {}) as object)) {
      unknown.push(...pruneKeywords(child, `${path}.${keyword}[${name}]`));
    }
  }
  for (const keyword of ['items', 'additionalProperties', 'additionalItems', 'not', 'allOf', 'anyOf', 'oneOf']) {
    unknown.push(...pruneKeywords(at[keyword], `${path}.${keyword}`));
  }
  return unknown;
}
