import type { OpenApiSchema, PrinterColumn, ResourceDefinition } from '../resources/definition.ts';
import { type AdmissionRules, buildAdmit } from '../schema/admit.ts';
import { ageOf } from '../table/human-duration.ts';

/** What differs between built-in kinds; the rest has the usual value. */
export type BuiltinKind = Pick<ResourceDefinition, 'group' | 'version' | 'plural' | 'kind' | 'schema' | 'columns'> &
  Partial<Omit<ResourceDefinition, 'admit'>> &
  Pick<AdmissionRules, 'prepare' | 'check' | 'pruneFurther'>;

export const allVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;

/** Completes a built-in kind to the definition that the REST handlers use. */
export function defineBuiltin({ prepare, check, pruneFurther, ...given }: BuiltinKind): ResourceDefinition {
  const base = {
    singular: given.kind.toLowerCase(),
    listKind: `${given.kind}List`,
    namespaced: true,
    shortNames: [],
    categories: [],
    verbs: allVerbs,
    status: false,
    selectableFields: [],
    generation: false,
    ...given,
  };
  return {
    ...base,
    strategicMergeKeys: strategicMergeKeys(given.schema),
    admit: buildAdmit({
      ...base,
      ...(prepare && { prepare }),
      ...(check && { check }),
      ...(pruneFurther && { pruneFurther }),
    }),
  };
}

/** Built-in kinds give AGE as text, as the genuine server does (only CRDs have the type `date`). */
export const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'string',
  description: 'The time since the object was created.',
  cell: (object) => ageOf(object.metadata.creationTimestamp),
};

/** The lists that strategic merge patches merge instead of replacing: those of metadata, and what the schema marks. */
function strategicMergeKeys(schema: OpenApiSchema): Record<string, string> {
  const keys: Record<string, string> = { 'metadata.ownerReferences': 'uid', 'metadata.finalizers': '' };
  const walk = (at: OpenApiSchema, path: string): void => {
    for (const [name, property] of Object.entries((at.properties ?? {}) as Record<string, OpenApiSchema>)) {
      const field = path ? `${path}.${name}` : name;
      if (property['x-kubernetes-patch-strategy'] === 'merge') {
        keys[field] = (property['x-kubernetes-patch-merge-key'] as string | undefined) ?? '';
      }
      walk(property, field);
      if (property.items) walk(property.items as OpenApiSchema, field);
    }
  };
  walk(schema, '');
  return keys;
}
