import { isDeepStrictEqual } from 'node:util';
import { Optional } from '@marcbachmann/cel-js';
import { type FieldError, type FieldErrorReason, invalid, invalidOmitted, make } from '../structural/errors.ts';
import {
  type AnySchema,
  childPath,
  isObject,
  type JsonObject,
  type Schema,
  schemaOfKey,
  type ValidationRule,
} from '../structural/schema.ts';
import { compileExpression, type Expression, type FieldsRead } from './environment.ts';
import { toCelFields, toCelValue } from './values.ts';

/**
 * Evaluates every `x-kubernetes-validations` rule of the schema. With an old value also the rules that mention oldSelf are evaluated, and
 * parts of the document that did not change are not held to rules about themselves: a rule that was added later does not block status updates.
 * The value must have passed validateStructure (or at least not be blocked by it).
 */
export function validateRules(schema: AnySchema, value: unknown, oldValue?: unknown): FieldError[] {
  const root = schema as Schema;
  if (!hasRules(root)) return [];
  const errors: FieldError[] = [];
  visit(
    {
      schema: root,
      value,
      old: oldValue === undefined ? undefined : { value: oldValue },
      path: '',
      unchanged: false,
      isRoot: true,
    },
    errors,
  );
  return errors;
}

/** What is wrong with the rules themselves: for a CustomResourceDefinition that is about to be stored. Paths are below the schema. */
export function checkRules(schema: AnySchema): FieldError[] {
  const errors: FieldError[] = [];
  checkNode(schema as Schema, '', errors);
  return errors;
}

interface Node {
  schema: Schema;
  value: unknown;
  /** Absent where there is no old value that is certainly the same thing. */
  old: { value: unknown } | undefined;
  path: string;
  /** Whether this node or one above it equals its old value. */
  unchanged: boolean;
  isRoot: boolean;
}

function visit(given: Node, errors: FieldError[]): void {
  if (given.value === null || given.value === undefined || !hasRules(given.schema)) return;
  const unchanged = given.unchanged || (given.old !== undefined && isDeepStrictEqual(given.value, given.old.value));
  const node = { ...given, unchanged };
  const isSteady = typeof given.value === 'object' && given.value === given.old?.value && Object.isFrozen(given.value);
  if (isSteady && holdsUnchanged(given.schema).has(given.value as object)) return;
  const errorsBefore = errors.length;
  const variables = variablesOf(node);
  for (const rule of node.schema['x-kubernetes-validations'] ?? []) {
    const error = evaluate(rule, node, variables);
    if (error) errors.push(error);
  }
  for (const child of children(node)) visit(child, errors);
  if (isSteady && errors.length === errorsBefore) holdsUnchanged(given.schema).add(given.value as object);
}

/**
 * Frozen values of which it is known that every rule of the schema holds between them and themselves: a document's spec, say, through all updates of its
 * status. Only rules with oldSelf come into question, and they see nothing but these two values.
 */
function holdsUnchanged(schema: Schema): WeakSet<object> {
  let values = steady.get(schema);
  if (values === undefined) {
    values = new WeakSet();
    steady.set(schema, values);
  }
  return values;
}

const steady = new WeakMap<Schema, WeakSet<object>>();

function children(node: Node): Node[] {
  const { schema, value, path, unchanged } = node;
  if (Array.isArray(value)) {
    const items = schema.items;
    if (!items) return [];
    const child = (item: unknown, index: number): Node => {
      return {
        schema: items,
        value: item,
        old: oldItem(node, item),
        path: `${path}[${index}]`,
        unchanged,
        isRoot: false,
      };
    };
    return value.map(child);
  }
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const innerSchema = schemaOfKey(schema, key);
    if (!innerSchema || !hasRules(innerSchema)) return [];
    const childNode = {
      schema: innerSchema,
      value: inner,
      old: oldField(node, key),
      path: childPath(path, schema, key),
      unchanged,
    };
    return [{ ...childNode, isRoot: false }];
  });
}

function oldField(node: Node, key: string): Node['old'] {
  const before = node.old?.value;
  return isObject(before) && Object.hasOwn(before, key) ? { value: before[key] } : undefined;
}

/** Only items of a list with keys can be told to be the same as before. */
function oldItem(node: Node, item: unknown): Node['old'] {
  const before = node.old?.value;
  const keys = node.schema['x-kubernetes-list-map-keys'];
  if (node.schema['x-kubernetes-list-type'] !== 'map' || !keys || !Array.isArray(before) || !isObject(item))
    return undefined;
  const match = before.find(
    (other) => isObject(other) && keys.every((key) => isDeepStrictEqual((other as JsonObject)[key], item[key])),
  );
  return match === undefined ? undefined : { value: match };
}

/** self and oldSelf, converted as far as rules ask for them, and only once. */
interface Variables {
  self: (fields: FieldsRead) => unknown;
  oldSelf: (fields: FieldsRead) => unknown;
}

function variablesOf(node: Node): Variables {
  const lazy = (value: unknown) => {
    let whole: { value: unknown } | undefined;
    const converted = new Map<string, unknown>();
    return (fields: FieldsRead) => {
      if (fields !== 'all' && !node.isRoot && !whole) return toCelFields(node.schema, value, fields, converted);
      whole ??= { value: toCelValue(node.schema, value, node.isRoot) };
      return whole.value;
    };
  };
  return { self: lazy(node.value), oldSelf: node.old ? lazy(node.old.value) : () => undefined };
}

function evaluate(rule: ValidationRule, node: Node, variables: Variables): FieldError | undefined {
  let result: unknown;
  try {
    const expression = compileExpression(rule.rule, rule.optionalOldSelf);
    if (expression.usesOldSelf ? !node.old && !rule.optionalOldSelf : node.unchanged) return undefined;
    result = expression.evaluate(bind(expression, rule, node, variables));
  } catch (error) {
    return invalid(
      node.path,
      node.schema.type ?? '',
      `${firstLine(error)} evaluating rule: ${rule.message ?? rule.rule}`,
    );
  }
  return result === true ? undefined : failure(rule, node, variables);
}

function bind(
  { reads }: Expression,
  rule: ValidationRule,
  node: Node,
  variables: Variables,
): { self: unknown; oldSelf?: unknown } {
  const self = variables.self(reads.self);
  if (!rule.optionalOldSelf) return { self, oldSelf: variables.oldSelf(reads.oldSelf) };
  return { self, oldSelf: node.old ? Optional.of(variables.oldSelf(reads.oldSelf)) : Optional.none() };
}

function failure(rule: ValidationRule, node: Node, variables: Variables): FieldError {
  const path = rule.fieldPath ? joinPath(node.path, rule.fieldPath) : node.path;
  const detail = dynamicMessage(rule, node, variables) ?? (rule.message?.trim() || `failed rule: ${rule.rule}`);
  const reason = (rule.reason ?? 'FieldValueInvalid') as FieldErrorReason;
  const isScalar = node.schema.type !== 'object' && node.schema.type !== 'array';
  switch (reason) {
    case 'FieldValueForbidden':
    case 'FieldValueRequired':
      return make(path, reason, undefined, detail);
    case 'FieldValueDuplicate':
      return make(path, reason, isScalar ? { value: node.value } : undefined, '');
    default:
      return isScalar ? invalid(path, node.value, detail) : invalidOmitted(path, detail);
  }
}

/** A messageExpression that fails, or gives nothing or several lines, is passed over. */
function dynamicMessage(rule: ValidationRule, node: Node, variables: Variables): string | undefined {
  if (!rule.messageExpression) return undefined;
  try {
    const expression = compileExpression(rule.messageExpression, rule.optionalOldSelf);
    const text = expression.evaluate(bind(expression, rule, node, variables));
    return typeof text === 'string' && text.trim() !== '' && !text.includes('\n') ? text.trim() : undefined;
  } catch {
    return undefined;
  }
}

function checkNode(schema: Schema, path: string, errors: FieldError[]): void {
  for (const [index, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    const rulePath = `${path ? `${path}.` : ''}x-kubernetes-validations[${index}]`;
    for (const field of ['rule', 'messageExpression'] as const) {
      if (rule[field] === undefined) continue;
      try {
        compileExpression(rule[field], rule.optionalOldSelf);
      } catch (error) {
        errors.push(invalid(`${rulePath}.${field}`, rule[field], `compilation failed: ${firstLine(error)}`));
      }
    }
  }
  for (const [name, property] of Object.entries(schema.properties ?? {}))
    checkNode(property, `${path ? `${path}.` : ''}properties[${name}]`, errors);
  if (isObject(schema.additionalProperties))
    checkNode(schema.additionalProperties as Schema, `${path ? `${path}.` : ''}additionalProperties`, errors);
  if (schema.items) checkNode(schema.items, `${path ? `${path}.` : ''}items`, errors);
}

/** Whether this schema or one below it has a rule; remembered, because every request asks. */
function hasRules(schema: Schema): boolean {
  const known = withRules.get(schema);
  if (known !== undefined) return known;
  const inner = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  const result =
    (schema['x-kubernetes-validations']?.length ?? 0) > 0 ||
    inner.some((part) => isObject(part) && hasRules(part as Schema));
  withRules.set(schema, result);
  return result;
}

const withRules = new WeakMap<object, boolean>();

function joinPath(path: string, relative: string): string {
  if (path === '') return relative.replace(/^\./, '');
  return relative.startsWith('.') || relative.startsWith('[') ? path + relative : `${path}.${relative}`;
}

function firstLine(error: unknown): string {
  const { summary, message } = error as { summary?: string; message?: string };
  const text = (summary ?? message ?? String(error)).split('\n')[0]!;
  return text.replace(/^No such key:/, 'no such key:');
}
