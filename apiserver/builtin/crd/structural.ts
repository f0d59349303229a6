import type { FieldCause } from '../../http/errors.ts';
import type { OpenApiSchema } from '../../resources/definition.ts';
import { forbiddenField, invalidValue, notSupported, required } from './causes.ts';
import { defaultCauses } from './defaults.ts';
import { listTypeCauses, mapTypeCauses } from './list-type.ts';

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/** Keywords of JSON Schema that would need more than one pass over a value, or make no sense without it. */
const refused = ['id', 'patternProperties', 'definitions', 'dependencies', 'additionalItems', '$ref'];

/**
 * Whether a schema is *structural*: every value has exactly one declared type that does not depend on validation (allOf, anyOf, oneOf, not), so that
 * pruning, defaulting and merging are well defined.
 */
export function structuralCauses(schema: OpenApiSchema, path: string): FieldCause[] {
  const causes = rootCauses(schema, path);
  walk(schema, path, { causes, missingType: 'must not be empty at the root', nested: false });
  return causes;
}

interface Place {
  causes: FieldCause[];
  /** What to say when `type` is missing; differs by the place of the schema. */
  missingType: string;
  /** Inside allOf, anyOf, oneOf or not, where only value checks are allowed. */
  nested: boolean;
}

function rootCauses(schema: OpenApiSchema, path: string): FieldCause[] {
  const causes: FieldCause[] = [];
  if (schema.type !== undefined && schema.type !== '' && schema.type !== 'object') {
    causes.push(invalidValue(`${path}.type`, schema.type, 'must be object at the root'));
  }
  if (schema.additionalProperties !== undefined) {
    causes.push(forbiddenField(`${path}.additionalProperties`, 'must not be used at the root'));
  }
  if (schema.nullable === true) causes.push(forbiddenField(`${path}.nullable`, 'nullable cannot be true at the root'));
  const properties = (schema.properties ?? {}) as Record<string, OpenApiSchema>;
  for (const name of ['apiVersion', 'kind']) {
    const type = properties[name]?.type;
    if (type !== undefined && type !== 'string') {
      causes.push(invalidValue(`${path}.properties[${name}].type`, type, 'must be string'));
    }
  }
  return [...causes, ...metadataCauses(properties.metadata, `${path}.properties[metadata]`)];
}

function metadataCauses(metadata: OpenApiSchema | undefined, path: string): FieldCause[] {
  if (!metadata) return [];
  if (metadata.type !== undefined && metadata.type !== 'object') {
    return [invalidValue(`${path}.type`, metadata.type, 'must be object')];
  }
  const { description: _description, type: _type, properties = {}, ...rest } = metadata;
  const named = Object.keys(properties as object).every((name) => name === 'name' || name === 'generateName');
  if (named && Object.keys(rest).length === 0) return [];
  return [
    forbiddenField(
      path,
      'must not specify anything other than name and generateName, but metadata is implicitly specified',
    ),
  ];
}

function walk(schema: OpenApiSchema, path: string, place: Place): void {
  const { causes, nested } = place;
  for (const keyword of refused) {
    if (schema[keyword] !== undefined) causes.push(forbiddenField(`${path}.${keyword}`, `${keyword} is not supported`));
  }
  if (schema.uniqueItems === true) {
    causes.push(
      forbiddenField(
        `${path}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  }
  if (typeof schema.pattern === 'string') causes.push(...patternCauses(schema.pattern, `${path}.pattern`));
  if (nested) causes.push(...nestedCauses(schema, path));
  else causes.push(...typeCauses(schema, path, place.missingType), ...extensionCauses(schema, path));
  causes.push(...listTypeCauses(schema, path), ...mapTypeCauses(schema, path));
  if (!nested && causes.length === 0) causes.push(...defaultCauses(schema, path));
  walkChildren(schema, path, place);
}

function walkChildren(schema: OpenApiSchema, path: string, { causes, nested }: Place): void {
  for (const [name, property] of Object.entries((schema.properties ?? {}) as Record<string, OpenApiSchema>)) {
    const field = `${path}.properties[${name}]`;
    // Checked by rootCauses; metadata has its own implicit schema.
    if (name === 'metadata' && property.type === 'object' && !path.includes('.properties[')) continue;
    walk(property, field, { causes, nested, missingType: 'must not be empty for specified object fields' });
  }
  const { items, additionalProperties } = schema;
  if (Array.isArray(items)) {
    causes.push(forbiddenField(`${path}.items`, 'items must be a schema object and not an array'));
  } else if (isSchema(items)) {
    walk(items, `${path}.items`, { causes, nested, missingType: 'must not be empty for specified array items' });
  }
  if (isSchema(additionalProperties) && !nested) {
    const missingType = 'must not be empty for specified object fields';
    walk(additionalProperties, `${path}.additionalProperties`, { causes, nested, missingType });
  }
  for (const junctor of ['allOf', 'anyOf', 'oneOf']) {
    const branches = schema[junctor];
    if (!Array.isArray(branches)) continue;
    branches.forEach((branch: OpenApiSchema, index) => {
      if (isIntOrStringBranch(schema, branch)) return;
      walk(branch, `${path}.${junctor}[${index}]`, { causes, nested: true, missingType: '' });
    });
  }
  if (isSchema(schema.not)) walk(schema.not, `${path}.not`, { causes, nested: true, missingType: '' });
}

function typeCauses(schema: OpenApiSchema, path: string, missing: string): FieldCause[] {
  const { type } = schema;
  const field = `${path}.type`;
  if (type === undefined || type === '') {
    const free =
      schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
    return free && missing !== 'must not be empty at the root' ? [] : [required(field, missing)];
  }
  if (!types.includes(type as string)) return [notSupported(field, type, types)];
  const causes: FieldCause[] = [];
  if (type === 'array' && schema.items === undefined) causes.push(required(`${path}.items`, 'must be specified'));
  if (
    schema.properties !== undefined &&
    schema.additionalProperties !== undefined &&
    schema.additionalProperties !== false
  ) {
    if (Object.keys(schema.properties as object).length > 0) {
      causes.push(
        forbiddenField(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'),
      );
    }
  }
  return causes;
}

function extensionCauses(schema: OpenApiSchema, path: string): FieldCause[] {
  const causes: FieldCause[] = [];
  const preserve = schema['x-kubernetes-preserve-unknown-fields'];
  if (preserve === false) {
    causes.push(invalidValue(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  }
  if (schema['x-kubernetes-embedded-resource'] === true) {
    if (schema.type !== 'object') {
      causes.push(
        invalidValue(`${path}.type`, schema.type, 'must be object if x-kubernetes-embedded-resource is true'),
      );
    }
    if (preserve !== true && schema.properties === undefined) {
      const detail =
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields';
      causes.push(required(`${path}.properties`, detail));
    }
  }
  return causes;
}

/** What a value check must not say, with the genuine server's words for each. */
const nestedRules: [keyword: string, detail: string][] = [
  ['additionalProperties', 'must be undefined to be structural'],
  ['default', 'must be undefined to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['title', 'must be empty to be structural'],
  ['type', 'must be empty to be structural'],
  ['x-kubernetes-embedded-resource', 'must be false to be structural'],
  ['x-kubernetes-int-or-string', 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false to be structural'],
  ['x-kubernetes-validations', 'must be empty to be structural'],
];

function nestedCauses(schema: OpenApiSchema, path: string): FieldCause[] {
  return nestedRules
    .filter(([keyword]) => schema[keyword] !== undefined && schema[keyword] !== false && schema[keyword] !== '')
    .map(([keyword, detail]) => forbiddenField(`${path}.${keyword}`, detail));
}

/** `anyOf: [{type: integer}, {type: string}]` is the one place where types may be named in a value check. */
function isIntOrStringBranch(parent: OpenApiSchema, branch: OpenApiSchema): boolean {
  const keys = Object.keys(branch);
  const plain = keys.length === 1 && (branch.type === 'integer' || branch.type === 'string');
  const list = keys.length === 1 && Array.isArray(branch.anyOf);
  return parent['x-kubernetes-int-or-string'] === true && (plain || list);
}

function patternCauses(pattern: string, path: string): FieldCause[] {
  try {
    new RegExp(pattern, 'u');
    return [];
  } catch {
    try {
      // Go accepts escapes that JavaScript refuses in unicode mode.
      new RegExp(pattern);
      return [];
    } catch (error) {
      return [
        invalidValue(path, pattern, `must be a valid regular expression, but isn't: ${(error as Error).message}`),
      ];
    }
  }
}

function isSchema(value: unknown): value is OpenApiSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
