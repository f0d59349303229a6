/** Checks a document of one of our kinds the way the API server will, without a server. */
import { validateRules } from './cel/rules.ts';
import { schemaOfKind } from './load.ts';
import { applyDefaults } from './structural/default.ts';
import {
  blocksRules,
  type FieldError,
  invalid,
  invalidOmitted,
  notSupported,
  RULES_NOT_CHECKED,
  required,
  validateStructure,
} from './structural/index.ts';
import { prune } from './structural/prune.ts';
import { type AnySchema, isObject } from './structural/schema.ts';

export const API_VERSION = 'tepui.dev/v1alpha1';

export interface Validation<T> {
  /** Empty when the document is good. */
  errors: FieldError[];
  /** A copy with defaults filled in and unknown fields removed; only to be used when there are no errors. */
  defaulted: T;
}

/** `old` is the document that this one replaces: with it, rules about changes are checked too. */
export function validateDocument<T extends object>(document: T, old?: object): Validation<T> {
  const errors = headErrors(document);
  const schema = isObject(document) ? schemaOfKind(String((document as { kind?: unknown }).kind)) : undefined;
  if (!schema) return { errors, defaulted: document };
  const result = validateAgainst(schema, document, old);
  return { errors: [...errors, ...result.errors], defaulted: result.defaulted };
}

/** The same for any structural schema; unknown fields are errors, as with `fieldValidation=Strict`. */
export function validateAgainst<T extends object>(schema: AnySchema, document: T, old?: object): Validation<T> {
  const defaulted = structuredClone(document);
  const unknown = prune(schema, defaulted).map((path) => make(path));
  applyDefaults(schema, defaulted);
  const structure = validateStructure(schema, defaulted);
  const rules = blocksRules(structure) ? [RULES_NOT_CHECKED] : validateRules(schema, defaulted, old);
  return { errors: [...unknown, ...structure, ...rules], defaulted };
}

function make(path: string): FieldError {
  return { path, reason: 'FieldValueInvalid', body: 'unknown field', message: `${path}: unknown field` };
}

function headErrors(document: unknown): FieldError[] {
  if (!isObject(document))
    return [invalidOmitted('', 'a document is an object with apiVersion, kind, metadata and spec')];
  const errors: FieldError[] = [];
  const { apiVersion, kind, metadata } = document;
  if (apiVersion === undefined) errors.push(required('apiVersion'));
  else if (apiVersion !== API_VERSION) errors.push(notSupported('apiVersion', apiVersion, [API_VERSION]));
  if (kind === undefined) errors.push(required('kind'));
  else if (!schemaOfKind(String(kind)))
    errors.push(notSupported('kind', kind, ['Framework', 'Task', 'Volume', 'Agent', 'FrameworkRole']));
  errors.push(...nameErrors(metadata));
  return errors;
}

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function nameErrors(metadata: unknown): FieldError[] {
  if (!isObject(metadata)) return [required('metadata.name', 'name or generateName is required')];
  const { name, generateName } = metadata;
  if (name === undefined && generateName === undefined)
    return [required('metadata.name', 'name or generateName is required')];
  if (name !== undefined && (typeof name !== 'string' || name.length > 253 || !NAME.test(name))) {
    return [
      invalid(
        'metadata.name',
        name,
        "a name consists of lower case letters, digits, '-' and '.', and starts and ends with a letter or digit",
      ),
    ];
  }
  return [];
}
