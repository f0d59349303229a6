import type { OpenApiSchema } from '../resources/definition.ts';

/** A CRD's schema with what is implicit in it: apiVersion, kind, and metadata, whose fields are the handlers' business. */
export function completeSchema(schema: OpenApiSchema): OpenApiSchema {
  const properties = (schema.properties ?? {}) as Record<string, OpenApiSchema>;
  return {
    ...schema,
    properties: {
      ...properties,
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { ...properties.metadata, type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
  };
}
