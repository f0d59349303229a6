import type { OpenApiSchema } from '../../resources/definition.ts';

/** Keywords that mean the same in both versions; value checks are left to the server. */
const kept = ['description', 'title', 'format', 'type', 'required', 'enum'];

/** A schema in the words of OpenAPI v2, as far as old clients need it: fields, types, descriptions, merge keys. */
export function toV2Schema(schema: OpenApiSchema): OpenApiSchema {
  const reference = (schema.$ref ?? (schema.allOf as OpenApiSchema[] | undefined)?.[0]?.$ref) as string | undefined;
  if (reference) {
    const description = schema.description === undefined ? {} : { description: schema.description };
    return { $ref: reference.replace('#/components/schemas/', '#/definitions/'), ...description };
  }
  const out: OpenApiSchema = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (kept.includes(keyword) || keyword.startsWith('x-kubernetes-')) out[keyword] = value;
  }
  // Old clients know neither null nor free fields beside declared ones: they must not check such values at all.
  if (schema.nullable === true) delete out.type;
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) {
    delete out.type;
    delete out.required;
    return out;
  }
  if (schema.properties) {
    const properties = Object.entries(schema.properties as Record<string, OpenApiSchema>);
    out.properties = Object.fromEntries(properties.map(([name, child]) => [name, toV2Schema(child)]));
  }
  if (isSchema(schema.additionalProperties)) out.additionalProperties = toV2Schema(schema.additionalProperties);
  if (isSchema(schema.items)) out.items = toV2Schema(schema.items);
  return out;
}

function isSchema(value: unknown): value is OpenApiSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
