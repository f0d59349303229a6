import type { ErrorObject } from 'ajv';
import { compiled } from './compile.ts';
import { type FieldError, invalid, notSupported, required, tooLong, tooMany, typeInvalid } from './errors.ts';
import { listErrors } from './lists.ts';
import { type AnySchema, isObject, type Schema } from './schema.ts';

/**
 * Checks types, limits, formats and list keys. Says nothing of unknown fields (see prune) and of rules (see cel/rules.ts);
 * rules should only be evaluated when `blocksRules` of the result is false.
 */
export function validateStructure(schema: AnySchema, value: unknown): FieldError[] {
  const validate = compiled(schema);
  const errors: FieldError[] = [];
  if (!validate(value)) {
    for (const error of validate.errors ?? []) {
      const translated = translate(error, value);
      if (translated) errors.push(translated);
    }
  }
  errors.push(...listErrors(schema as Schema, value, ''));
  return errors;
}

/** The API server skips rules when the value is so wrong that they could fail for it; then it adds this error. */
export function blocksRules(errors: FieldError[]): boolean {
  return errors.some((error) => BLOCKING.has(error.reason));
}

export const RULES_NOT_CHECKED: FieldError = invalid(
  '',
  null,
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
);

const BLOCKING = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

function translate(error: ErrorObject, root: unknown): FieldError | undefined {
  const { path, value: data } = locate(error.instancePath, root);
  const at = path ? `${path} in body` : 'in body';
  const { params } = error;
  switch (error.keyword) {
    case 'required':
      return required(path ? `${path}.${params.missingProperty}` : params.missingProperty);
    case 'type': {
      const type = ([] as string[])
        .concat(params.type as string | string[])
        .filter((name) => name !== 'null')
        .join(',');
      return typeInvalid(
        path,
        typeName(data),
        `${at} must be of type ${type}: ${JSON.stringify(typeName(data))}${hint(type, data)}`,
      );
    }
    case 'enum':
      return notSupported(path, data, params.allowedValues as unknown[]);
    case 'maxLength':
      return tooLong(path, params.limit);
    case 'maxItems':
    case 'maxProperties':
      return tooMany(path, Array.isArray(data) ? data.length : Object.keys(data as object).length, params.limit);
    case 'minLength':
      return invalid(path, data, `${at} should be at least ${params.limit} chars long`);
    case 'minItems':
      return invalid(path, (data as unknown[]).length, `${at} should have at least ${params.limit} items`);
    case 'minProperties':
      return invalid(path, Object.keys(data as object).length, `${at} should have at least ${params.limit} properties`);
    case 'pattern':
      return invalid(path, data, `${at} should match '${params.pattern}'`);
    case 'format':
      // The genuine server names only the last part of the path here.
      return typeInvalid(path, data, `${leaf(path)} in body must be of type ${params.format}: ${JSON.stringify(data)}`);
    case 'minimum':
    case 'exclusiveMinimum':
      return invalid(
        path,
        data,
        `${at} should be greater than ${error.keyword === 'minimum' ? 'or equal to ' : ''}${params.limit}`,
      );
    case 'maximum':
    case 'exclusiveMaximum':
      return invalid(
        path,
        data,
        `${at} should be less than ${error.keyword === 'maximum' ? 'or equal to ' : ''}${params.limit}`,
      );
    case 'multipleOf':
      return invalid(path, data, `${at} should be a multiple of ${params.multipleOf}`);
    case 'uniqueItems':
      return invalid(path, data, `${at} shouldn't contain duplicates`);
    case 'anyOf':
      return invalid(path, isObject(data) ? '' : data, `"${path}" must validate at least one schema (anyOf)`);
    case 'oneOf':
      return invalid(path, isObject(data) ? '' : data, `"${path}" must validate one and only one schema (oneOf)`);
    case 'not':
      return invalid(path, isObject(data) ? '' : data, `"${path}" must not validate the schema (not)`);
    default:
      return invalid(path, isObject(data) ? '' : data, `${at} ${error.keyword}`);
  }
}

/** The genuine server stops here; a fraction is what newcomers write most often, so they get told what to do. */
function hint(type: string, data: unknown): string {
  if (type !== 'integer,string' || typeof data !== 'number') return '';
  return ` (write "${data}"${data < 1 && data > 0 ? ` or ${Math.round(data * 1000)}m` : ''})`;
}

function typeName(data: unknown): string {
  if (data === null) return 'null';
  if (Array.isArray(data)) return 'array';
  if (typeof data === 'number') return Number.isInteger(data) ? 'integer' : 'number';
  return typeof data;
}

function leaf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/** `/spec/containers/0/name` -> `spec.containers[0].name`, and what is there. */
function locate(pointer: string, root: unknown): { path: string; value: unknown } {
  let path = '';
  let value: unknown = root;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(value)) path += `[${key}]`;
    else path += path ? `.${key}` : key;
    value = (value as Record<string, unknown> | undefined)?.[key];
  }
  return { path, value };
}
