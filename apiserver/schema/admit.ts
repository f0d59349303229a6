import { ApiError, type FieldCause, invalid, type ResourceName } from '../http/errors.ts';
import type {
  AdmissionContext,
  Admitted,
  KubernetesObject,
  OpenApiSchema,
  ResourceDefinition,
} from '../resources/definition.ts';
import { jsonEqual } from '../resources/equal.ts';
import { copyJson } from './copy-json.ts';
import { createKeptParts } from './kept-parts.ts';
import { completeSchema } from './object-schema.ts';
import { applyDefaults, prune, ruleCauses, structureCauses } from './structure.ts';

/** What `admit` of a resource is made of. */
export interface AdmissionRules extends ResourceName {
  version: string;
  schema: OpenApiSchema;
  /** Fills in and converts fields before anything is checked; may change the object, must tolerate wrong types. */
  prepare?: (object: KubernetesObject, context: AdmissionContext) => void;
  /** Removes what the schema cannot say is unknown; the paths removed are returned. */
  pruneFurther?: (object: KubernetesObject) => string[];
  /** What the schema cannot say. Only called for objects that fit the schema. */
  check?: (object: KubernetesObject, context: AdmissionContext) => FieldCause[];
}

/** Makes the `admit` of a definition: prune, default, validate, in this order, on a copy. */
export function buildAdmit(rules: AdmissionRules): ResourceDefinition['admit'] {
  const whole = completeSchema(rules.schema);
  const parts = createKeptParts(whole);
  // What fills in or removes fields by itself must see all of them.
  const mayKeep = rules.prepare === undefined && rules.pruneFurther === undefined;
  return (given, context): Admitted => {
    const { existing } = context;
    const kept = mayKeep ? parts.of(given, existing) : new Set<string>();
    const schema = parts.schemaWithout(kept);
    const changed = copyJson(kept.size === 0 ? given : omit(given, kept));
    const unknown = [...prune(schema, changed), ...(rules.pruneFurther?.(changed) ?? [])];
    const warnings = unknownFieldWarnings(rules, unknown.sort(), context);
    rules.prepare?.(changed, context);
    applyDefaults(schema, changed);
    const causes = structureCauses(schema, changed);
    const object = kept.size === 0 ? changed : rejoin(given, changed, existing!, kept);
    if (causes.length === 0) {
      causes.push(...ruleCauses(whole, object, existing), ...(rules.check?.(object, context) ?? []));
    }
    const blocking = causes.length > 0 ? causes.filter((cause) => !isOldFault(cause, object, existing)) : causes;
    if (blocking.length > 0) throw invalid(rules, object.metadata.name ?? '', blocking);
    if (causes.length === 0) parts.passed(object);
    return { object, warnings };
  };
}

function omit(object: KubernetesObject, names: ReadonlySet<string>): KubernetesObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.has(name))) as KubernetesObject;
}

/** Fields stand in the order of the document as it was given; those that defaults added come last. */
function rejoin(
  given: KubernetesObject,
  changed: KubernetesObject,
  existing: KubernetesObject,
  kept: ReadonlySet<string>,
): KubernetesObject {
  const object: Record<string, unknown> = {};
  for (const name of Object.keys(given)) {
    if (kept.has(name)) object[name] = existing[name];
    else if (Object.hasOwn(changed, name)) object[name] = changed[name];
  }
  return { ...object, ...changed };
}

/**
 * A fault in a part of the object (spec, status, data ...) that this write does not change. When a kind gets stricter rules, older objects must still be
 * able to report their status, lose their finalizers and go.
 */
function isOldFault(cause: FieldCause, object: KubernetesObject, existing: KubernetesObject | undefined): boolean {
  const part = /^[^.[]+/.exec(cause.field)?.[0];
  if (!existing || !part || part === 'metadata' || part === '<nil>') return false;
  return object[part] !== undefined && jsonEqual(object[part], existing[part]);
}

/** Unknown fields are dropped silently, told, or refused, as the client asked. */
function unknownFieldWarnings(rules: AdmissionRules, paths: string[], { fieldValidation }: AdmissionContext): string[] {
  if (paths.length === 0 || fieldValidation === 'Ignore') return [];
  const texts = paths.map((path) => `unknown field "${path}"`);
  if (fieldValidation === 'Warn') return texts;
  throw strictDecodingError(rules, texts);
}

/** The 400 of `fieldValidation=Strict`; `problems` are texts like `unknown field "spec.x"` or `duplicate field "spec.y"`. */
export function strictDecodingError(
  { kind, version }: Pick<AdmissionRules, 'kind' | 'version'>,
  problems: string[],
): ApiError {
  return new ApiError(
    'BadRequest',
    `${kind} in version "${version}" cannot be handled as a ${kind}: strict decoding error: ${problems.join(', ')}`,
  );
}
