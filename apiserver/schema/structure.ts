import { validateRules } from '../../crds/cel/rules.ts';
import { applyDefaults as fillDefaults } from '../../crds/structural/default.ts';
import type { FieldError } from '../../crds/structural/errors.ts';
import { prune as removeUnknown } from '../../crds/structural/prune.ts';
import { validateStructure } from '../../crds/structural/validate.ts';
import type { FieldCause } from '../http/errors.ts';
import type { OpenApiSchema } from '../resources/definition.ts';

/** The schema engine of crds/, in the words of this server. */

/** Fills in defaults, in place. */
export function applyDefaults(schema: OpenApiSchema, value: unknown): void {
  fillDefaults(schema, value);
}

/** Removes fields that the schema does not know, in place; their paths are returned. */
export function prune(schema: OpenApiSchema, value: unknown): string[] {
  return removeUnknown(schema, value);
}

/** Wrong types, limits, formats, enums, list keys. */
export function structureCauses(schema: OpenApiSchema, value: unknown): FieldCause[] {
  return validateStructure(schema, value).map(toCause);
}

export function toCause({ path, reason, body }: FieldError): FieldCause {
  return { field: path, reason, message: body };
}

/** Broken CEL rules. With the object as it was before also those that compare with it. */
export function ruleCauses(schema: OpenApiSchema, object: unknown, existing?: unknown): FieldCause[] {
  return validateRules(schema, object, existing).map(toCause);
}
