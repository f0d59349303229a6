import type { KubernetesObject, OpenApiSchema } from '../resources/definition.ts';
import { jsonEqual } from '../resources/equal.ts';

/**
 * The parts of a document (spec, status, data ...) that a write takes over as they are, and that need not be pruned, defaulted and validated again:
 * each has passed this very schema, is frozen since, and does not change. A status update of a large document costs what its status costs.
 */
export interface KeptParts {
  /** Names of those of `given` that are as in `existing`, whose values are to be taken. */
  of(given: KubernetesObject, existing: KubernetesObject | undefined): ReadonlySet<string>;
  /** The schema without these parts. */
  schemaWithout(parts: ReadonlySet<string>): OpenApiSchema;
  /** The object has passed the schema. */
  passed(object: KubernetesObject): void;
}

const none: ReadonlySet<string> = new Set();

/** For one schema; another version of it knows nothing of what passed here. */
export function createKeptParts(schema: OpenApiSchema): KeptParts {
  const passed = new WeakSet<object>();
  const reduced = new Map<string, OpenApiSchema>();
  const isPart = (name: string, value: unknown): value is object =>
    name !== 'metadata' && typeof value === 'object' && value !== null;
  return {
    of(given, existing) {
      if (existing === undefined) return none;
      const parts = Object.entries(existing).filter(
        ([name, value]) =>
          isPart(name, value) && passed.has(value) && Object.isFrozen(value) && jsonEqual(given[name], value),
      );
      return parts.length === 0 ? none : new Set(parts.map(([name]) => name));
    },
    schemaWithout(parts) {
      if (parts.size === 0) return schema;
      const key = [...parts].sort().join(' ');
      let known = reduced.get(key);
      if (known === undefined) {
        known = without(schema, parts);
        reduced.set(key, known);
      }
      return known;
    },
    passed(object) {
      for (const [name, value] of Object.entries(object)) if (isPart(name, value)) passed.add(value);
    },
  };
}

function without(schema: OpenApiSchema, parts: ReadonlySet<string>): OpenApiSchema {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, OpenApiSchema>);
  const required = (schema.required ?? []) as string[];
  return {
    ...schema,
    properties: Object.fromEntries(properties.filter(([name]) => !parts.has(name))),
    required: required.filter((name) => !parts.has(name)),
  };
}
