import type { OpenApiSchema } from '../../../apiserver/resources/definition.ts';

/** CRDs with one fault each, and a part of what the genuine server says about them. */

export function crdWith(spec: object, name = 'yaks.x.example.com'): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name },
    spec: {
      group: 'x.example.com',
      scope: 'Namespaced',
      names: { plural: 'yaks', kind: 'Yak' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      ...spec,
    },
  };
}

export interface SchemaCase {
  name: string;
  schema: OpenApiSchema;
  /** `fine`, or words of the message. */
  wrong: string;
}

const field = (a: OpenApiSchema): OpenApiSchema => ({ type: 'object', properties: { a } });
const text = { type: 'string' };
const mapList = (items: OpenApiSchema, keys?: string[]): OpenApiSchema =>
  field({ type: 'array', 'x-kubernetes-list-type': 'map', ...(keys && { 'x-kubernetes-list-map-keys': keys }), items });
const rule = (...rules: object[]): OpenApiSchema => field({ type: 'integer', 'x-kubernetes-validations': rules });

export const schemaCases: SchemaCase[] = [
  {
    name: 'an object of anything',
    schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    wrong: 'fine',
  },
  {
    name: 'a field without type',
    schema: field({ properties: {} }),
    wrong: 'must not be empty for specified object fields',
  },
  { name: 'no type', schema: { properties: { a: text } }, wrong: 'must not be empty at the root' },
  { name: 'a list', schema: { type: 'array', items: text }, wrong: 'must be object at the root' },
  { name: 'a list without items', schema: field({ type: 'array' }), wrong: 'must be specified' },
  { name: 'an unknown type', schema: field({ type: 'foo' }), wrong: 'supported values: "array", "boolean", "integer"' },
  {
    name: 'a map with fields',
    schema: field({ type: 'object', properties: { b: text }, additionalProperties: text }),
    wrong: 'additionalProperties and properties are mutual exclusive',
  },
  { name: 'a closed object', schema: field({ type: 'object', additionalProperties: false }), wrong: 'fine' },
  { name: 'a reference', schema: field({ $ref: '#/foo', type: 'object' }), wrong: '$ref is not supported' },
  {
    name: 'unique items',
    schema: field({ type: 'array', uniqueItems: true, items: text }),
    wrong: 'uniqueItems cannot be set to true',
  },
  {
    name: 'types inside of anyOf',
    schema: field({ type: 'object', anyOf: [{ type: 'object' }] }),
    wrong: 'must be empty to be structural',
  },
  {
    name: 'a default inside of anyOf',
    schema: field({ type: 'object', anyOf: [{ default: {} }] }),
    wrong: 'must be undefined to be structural',
  },
  {
    name: 'value checks inside of anyOf',
    schema: field({ type: 'object', properties: { z: text }, anyOf: [{ required: ['z'] }] }),
    wrong: 'fine',
  },
  {
    name: 'int-or-string',
    schema: field({ 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] }),
    wrong: 'fine',
  },
  {
    name: 'a map list without keys',
    schema: mapList({ type: 'object', properties: { b: text } }),
    wrong: 'must not be empty if x-kubernetes-list-type is map',
  },
  {
    name: 'a map list with a key that is no field',
    schema: mapList({ type: 'object', properties: { b: text } }, ['z']),
    wrong: 'entries must all be names of item properties',
  },
  {
    name: 'a map list with an optional key',
    schema: mapList({ type: 'object', properties: { b: text } }, ['b']),
    wrong: 'so it must have a default or be a required property',
  },
  {
    name: 'a map list',
    schema: mapList({ type: 'object', required: ['b'], properties: { b: text } }, ['b']),
    wrong: 'fine',
  },
  {
    name: 'a map list of texts',
    schema: mapList(text, ['b']),
    wrong: "must be object if parent array's x-kubernetes-list-type is map",
  },
  {
    name: 'an unknown list type',
    schema: field({ type: 'array', items: text, 'x-kubernetes-list-type': 'foo' }),
    wrong: 'supported values: "atomic", "set", "map"',
  },
  {
    name: 'a list type on a text',
    schema: field({ type: 'string', 'x-kubernetes-list-type': 'set' }),
    wrong: 'must be array if x-kubernetes-list-type is specified',
  },
  {
    name: 'a set of objects',
    schema: field({ type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'set' }),
    wrong: 'must be atomic as item of a list with x-kubernetes-list-type=set',
  },
  {
    name: 'an unknown map type',
    schema: field({ type: 'object', 'x-kubernetes-map-type': 'foo' }),
    wrong: 'supported values: "atomic", "granular"',
  },
  {
    name: 'a default of another type',
    schema: field({ type: 'integer', default: 'foo' }),
    wrong: 'must be of type integer',
  },
  {
    name: 'a default that is too long',
    schema: field({ type: 'string', maxLength: 3, default: 'abcd' }),
    wrong: 'Too long: may not be more than 3 bytes',
  },
  {
    name: 'a default with unknown fields',
    schema: field({ type: 'object', default: { q: 1 }, properties: { z: text } }),
    wrong: 'must not have unknown fields',
  },
  { name: 'a rule that does not parse', schema: rule({ rule: 'self > ' }), wrong: 'compilation failed' },
  { name: 'an empty rule', schema: rule({ rule: '' }), wrong: 'rule is not specified' },
  {
    name: 'a rule with a message of two lines',
    schema: rule({ rule: 'self > 0', message: 'a\nb' }),
    wrong: 'must not contain line breaks',
  },
  {
    name: 'a rule with an unknown reason',
    schema: rule({ rule: 'self > 0', reason: 'Foo' }),
    wrong: 'supported values: "FieldValueDuplicate"',
  },
  { name: 'a rule', schema: rule({ rule: 'self > 0', message: 'must be positive' }), wrong: 'fine' },
  {
    name: 'labels in metadata',
    schema: {
      type: 'object',
      properties: { metadata: { type: 'object', properties: { labels: { type: 'object' } } } },
    },
    wrong: 'must not specify anything other than name and generateName',
  },
  {
    name: 'a name in metadata',
    schema: {
      type: 'object',
      properties: { metadata: { type: 'object', properties: { name: { type: 'string', maxLength: 3 } } } },
    },
    wrong: 'fine',
  },
  {
    name: 'a number as kind',
    schema: { type: 'object', properties: { kind: { type: 'integer' } } },
    wrong: 'must be string',
  },
  {
    name: 'a map at the root',
    schema: { type: 'object', additionalProperties: text },
    wrong: 'must not be used at the root',
  },
  {
    name: 'a broken pattern',
    schema: field({ type: 'string', pattern: '(((' }),
    wrong: "must be a valid regular expression, but isn't",
  },
  {
    name: 'preserve-unknown-fields: false',
    schema: field({ type: 'object', 'x-kubernetes-preserve-unknown-fields': false }),
    wrong: 'must be true or undefined',
  },
  {
    name: 'an embedded resource without fields',
    schema: field({ type: 'object', 'x-kubernetes-embedded-resource': true }),
    wrong: 'must not be empty if x-kubernetes-embedded-resource is true',
  },
];

export interface CrdCase {
  name: string;
  crd: object;
  wrong: string;
}

const version = (more: object) => ({
  name: 'v1',
  served: true,
  storage: true,
  schema: {
    openAPIV3Schema: {
      type: 'object',
      properties: { spec: { type: 'object', properties: { o: { type: 'object' }, s: text } } },
    },
  },
  ...more,
});

export const crdCases: CrdCase[] = [
  {
    name: 'has no schema',
    crd: crdWith({ versions: [{ name: 'v1', served: true, storage: true }] }),
    wrong: 'Required value',
  },
  { name: 'has another name', crd: crdWith({}, 'zs.x.example.com'), wrong: 'must be spec.names.plural+"."+spec.group' },
  {
    name: 'has two storage versions',
    crd: crdWith({ versions: [version({}), version({ name: 'v2' })] }),
    wrong: 'must have exactly one version marked as storage version',
  },
  {
    name: 'has a version twice',
    crd: crdWith({ versions: [version({}), version({ storage: false })] }),
    wrong: 'must contain unique version names',
  },
  {
    name: 'has a bad version name',
    crd: crdWith({ versions: [version({ name: 'V_1' })] }),
    wrong: 'a DNS-1035 label must consist of',
  },
  {
    name: 'has an unknown conversion',
    crd: crdWith({ conversion: { strategy: 'Foo' } }),
    wrong: 'supported values: "None", "Webhook"',
  },
  {
    name: 'has bad names',
    crd: crdWith({ names: { plural: 'yaks', kind: 'y y', shortNames: ['A_'] } }),
    wrong: 'may have mixed case, but should otherwise match',
  },
  { name: 'has an unknown scope', crd: crdWith({ scope: 'Foo' }), wrong: 'supported values: "Cluster", "Namespaced"' },
  {
    name: 'preserves unknown fields as a whole',
    crd: crdWith({ preserveUnknownFields: true }),
    wrong: 'cannot set to true',
  },
  {
    name: 'is in a protected group',
    crd: crdWith({ group: 'yak.k8s.io' }, 'yaks.yak.k8s.io'),
    wrong: 'protected groups must have approval annotation',
  },
  {
    name: 'has a column of unknown type',
    crd: crdWith({
      versions: [version({ additionalPrinterColumns: [{ name: 'x', type: 'foo', jsonPath: '.spec.x' }] })],
    }),
    wrong: 'must be one of boolean,date,integer,number,string',
  },
  {
    name: 'has a column without a dot',
    crd: crdWith({
      versions: [version({ additionalPrinterColumns: [{ name: 'x', type: 'string', jsonPath: 'spec.x' }] })],
    }),
    wrong: 'must be a simple json path starting with .',
  },
  {
    name: 'has an unknown column format',
    crd: crdWith({
      versions: [
        version({ additionalPrinterColumns: [{ name: 'x', type: 'string', jsonPath: '.a', format: 'bogus' }] }),
      ],
    }),
    wrong: 'must be one of byte,date,date-time',
  },
  {
    name: 'scales by its status',
    crd: crdWith({
      versions: [
        version({ subresources: { scale: { specReplicasPath: '.status.x', statusReplicasPath: '.status.x' } } }),
      ],
    }),
    wrong: 'should be a json path under .spec',
  },
  {
    name: 'scales without a status path',
    crd: crdWith({ versions: [version({ subresources: { scale: { specReplicasPath: '.spec.x' } } })] }),
    wrong: 'Required value',
  },
  {
    name: 'selects by an unknown field',
    crd: crdWith({ versions: [version({ selectableFields: [{ jsonPath: '.spec.foo' }] })] }),
    wrong: 'is an invalid path: does not refer to a valid field',
  },
  {
    name: 'selects by an object',
    crd: crdWith({ versions: [version({ selectableFields: [{ jsonPath: '.spec.o' }] })] }),
    wrong: 'must point to a field of type string, boolean or integer',
  },
  {
    name: 'selects by a text',
    crd: crdWith({ versions: [version({ selectableFields: [{ jsonPath: '.spec.s' }] })] }),
    wrong: 'fine',
  },
];
