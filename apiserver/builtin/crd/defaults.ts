import type { FieldCause } from '../../http/errors.ts';
import type { OpenApiSchema } from '../../resources/definition.ts';
import { copyJson } from '../../schema/copy-json.ts';
import { prune, structureCauses } from '../../schema/structure.ts';
import { invalidValue } from './causes.ts';

/** A default must itself be a valid value without unknown fields: nobody could correct it in an object. */
export function defaultCauses(schema: OpenApiSchema, path: string): FieldCause[] {
  if (schema.default === undefined) return [];
  const field = `${path}.default`;
  if (schema.default === null) {
    return schema.nullable === true ? [] : [invalidValue(field, null, 'must not be null')];
  }
  const value = copyJson(schema.default);
  if (prune(schema, value).length > 0) return [invalidValue(field, schema.default, 'must not have unknown fields')];
  return structureCauses(schema, value).map((cause) => ({
    ...cause,
    field: cause.field === '<nil>' ? field : `${field}.${cause.field}`,
  }));
}
