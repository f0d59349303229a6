import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { loadCrds } from '../../crds/load.ts';
import { applyDefaults } from '../../crds/structural/default.ts';
import { formatFieldErrors } from '../../crds/structural/errors.ts';
import { toRegExp } from '../../crds/structural/pattern.ts';
import { prune } from '../../crds/structural/prune.ts';
import { isObject, type Schema } from '../../crds/structural/schema.ts';
import { validateStructure } from '../../crds/structural/validate.ts';

const messages = (schema: Schema, value: unknown) => validateStructure(schema, value).map((error) => error.message);
const inField = (schema: Schema): Schema => ({ type: 'object', properties: { a: schema } });

describe('applyDefaults', () => {
  test('fills in defaults inside of defaults and of list items', () => {
    const schema = inField({
      type: 'object',
      default: {},
      properties: {
        b: {
          type: 'array',
          default: [{}],
          items: { type: 'object', properties: { c: { type: 'integer', default: 3 } } },
        },
      },
    });
    const value = {};
    applyDefaults(schema, value);
    expect(value).toEqual({ a: { b: [{ c: 3 }] } });
  });

  test('does not share a default between two documents', () => {
    const schema = inField({ type: 'array', default: [], items: { type: 'string' } });
    const [one, two] = [{ a: undefined as unknown }, {} as { a?: unknown }];
    applyDefaults(schema, one);
    applyDefaults(schema, two);
    (one.a as string[]).push('x');
    expect(two.a).toEqual([]);
  });

  test('a null counts as absent, unless the schema allows it', () => {
    const value = { a: null, b: null, c: null, d: { x: null } };
    const schema: Schema = {
      type: 'object',
      properties: {
        a: { type: 'integer', default: 1 },
        b: { type: 'integer' },
        c: { type: 'integer', nullable: true, default: 2 },
        d: { type: 'object', additionalProperties: { type: 'string' } },
      },
    };
    applyDefaults(schema, value);
    expect(value).toEqual({ a: 1, c: null, d: {} });
  });

  test.each(loadCrds().map((crd) => [crd.spec.names.kind, crd.spec.versions[0]!.schema.openAPIV3Schema] as const))(
    'of a %s a second time changes nothing, and never removes what was there',
    (_kind, schema) => {
      fc.assert(
        fc.property(documentOf(schema, 0), (document) => {
          const once = structuredClone(document);
          applyDefaults(schema, once);
          const twice = structuredClone(once);
          applyDefaults(schema, twice);
          expect(twice).toEqual(once);
          expect(once).toMatchObject(document as object);
        }),
        { numRuns: 60 },
      );
    },
  );

  test.each(loadCrds().map((crd) => [crd.spec.names.kind, crd.spec.versions[0]!.schema.openAPIV3Schema] as const))(
    'and prune, of a %s, can change places',
    (_kind, schema) => {
      fc.assert(
        fc.property(documentOf(schema, 0), fc.object({ maxDepth: 2 }), (document, extra) => {
          const mixed = { ...(extra as object), ...(document as object) };
          const [first, second] = [structuredClone(mixed), structuredClone(mixed)];
          prune(schema, first);
          applyDefaults(schema, first);
          applyDefaults(schema, second);
          prune(schema, second);
          expect(first).toEqual(second);
        }),
        { numRuns: 30 },
      );
    },
  );
});

describe('prune', () => {
  test('returns the paths of unknown fields, and keeps the resource fields', () => {
    const schema: Schema = {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          properties: { list: { type: 'array', items: { type: 'object', properties: { x: { type: 'string' } } } } },
        },
      },
    };
    const value = {
      apiVersion: 'v1',
      kind: 'K',
      metadata: { name: 'n' },
      other: 1,
      spec: { y: 1, list: [{ x: 'a', z: 2 }] },
    };
    expect(prune(schema, value).sort()).toEqual(['other', 'spec.list[0].z', 'spec.y']);
    expect(value).toEqual({ apiVersion: 'v1', kind: 'K', metadata: { name: 'n' }, spec: { list: [{ x: 'a' }] } });
  });

  test('keeps everything below x-kubernetes-preserve-unknown-fields but prunes what is declared there', () => {
    const schema = inField({
      type: 'object',
      'x-kubernetes-preserve-unknown-fields': true,
      properties: { b: { type: 'object', properties: {} } },
    });
    const value = { a: { free: { x: 1 }, b: { gone: 1 } } };
    expect(prune(schema, value)).toEqual(['a.b.gone']);
    expect(value).toEqual({ a: { free: { x: 1 }, b: {} } });
  });

  test('is not fooled by names from Object.prototype', () => {
    const value = JSON.parse('{"a": {"__proto__": 1, "constructor": 2, "toString": 3}}');
    expect(prune(inField({ type: 'object', properties: {} }), value).sort()).toEqual([
      'a.__proto__',
      'a.constructor',
      'a.toString',
    ]);
  });
});

describe('validateStructure', () => {
  test('knows int-or-string, nullable, and what is free', () => {
    const intOrString = inField({ 'x-kubernetes-int-or-string': true });
    expect(messages(intOrString, { a: 1 })).toEqual([]);
    expect(messages(intOrString, { a: '1' })).toEqual([]);
    expect(messages(intOrString, { a: true })).toEqual([
      'a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"',
    ]);
    expect(messages(inField({ type: 'string', nullable: true }), { a: null })).toEqual([]);
    expect(messages(inField({ type: 'string' }), { a: null })).toEqual([
      'a: Invalid value: "null": a in body must be of type string: "null"',
    ]);
    expect(messages(inField({ 'x-kubernetes-preserve-unknown-fields': true }), { a: [1, { b: null }] })).toEqual([]);
  });

  test('wants apiVersion, kind and metadata in embedded resources', () => {
    const schema = inField({
      type: 'object',
      'x-kubernetes-embedded-resource': true,
      'x-kubernetes-preserve-unknown-fields': true,
    });
    expect(messages(schema, { a: { apiVersion: 'v1', kind: 'K' } })).toEqual(['a.metadata: Required value']);
  });

  test.each([
    ['date-time', '2026-01-01T00:00:00Z', '2026-02-30T00:00:00Z'],
    ['date', '2026-01-01', '01.01.2026'],
    ['duration', '1h30m', 'soon'],
    ['ipv4', '10.0.0.1', '10.0.0.256'],
    ['ipv6', '::1', ':::'],
    ['uuid', '123e4567-e89b-12d3-a456-426614174000', '123'],
    ['uri', 'http://a/b', 'a b'],
    ['byte', 'aGk=', '***'],
    ['cidr', '10.0.0.0/8', '10.0.0.0'],
    ['mac', '00:11:22:33:44:55', 'x'],
  ])('checks the format %s', (format, good, bad) => {
    const schema = inField({ type: 'string', format });
    expect(messages(schema, { a: good })).toEqual([]);
    expect(messages(schema, { a: bad })).toHaveLength(1);
  });

  test('ignores formats that Kubernetes does not know', () => {
    expect(messages(inField({ type: 'string', format: 'no-such-format' }), { a: 'x' })).toEqual([]);
  });

  test('reports the second of two equal keys, also of compound keys and of sets of objects', () => {
    const item: Schema = { type: 'object', properties: { k: { type: 'string' }, l: { type: 'integer' } } };
    const map = inField({
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['k', 'l'],
      items: item,
    });
    expect(
      messages(map, {
        a: [
          { k: 'x', l: 1 },
          { k: 'x', l: 2 },
          { l: 1, k: 'x' },
        ],
      }),
    ).toEqual(['a[2]: Duplicate value: {"k":"x","l":1}']);
    const set = inField({ type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } });
    expect(messages(set, { a: ['x', 'y', 'x', 'x'] })).toEqual(['a[2]: Duplicate value: "x"']);
  });

  test('writes several errors in brackets', () => {
    const errors = validateStructure({ type: 'object', required: ['a', 'b'] }, {});
    expect(formatFieldErrors(errors)).toBe('[a: Required value, b: Required value]');
    expect(formatFieldErrors(errors.slice(1))).toBe('b: Required value');
  });

  test('does not hang or throw on any JSON', () => {
    for (const crd of loadCrds()) {
      const schema = crd.spec.versions[0]!.schema.openAPIV3Schema;
      fc.assert(
        fc.property(fc.jsonValue(), (value) =>
          Array.isArray(validateStructure(schema, { spec: value, status: value })),
        ),
        { numRuns: 50 },
      );
    }
  });
});

describe('toRegExp', () => {
  test.each([
    ['(?i)^abc$', 'ABC'],
    ['^[[:alpha:]]+$', 'abC'],
    ['\\Aa\\z', 'a'],
    ['^(?P<x>a)$', 'a'],
    ['^a\\-b\\_c$', 'a-b_c'],
  ])('reads the RE2 pattern %p', (pattern, text) => {
    expect(toRegExp(pattern).test(text)).toBe(true);
  });
});

/** Random documents that have some of the fields of a schema, with plausible values. */
function documentOf(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  if (schema['x-kubernetes-int-or-string']) return fc.oneof(fc.nat(), fc.constantFrom('1', '500m', '1Gi'));
  if (schema.enum) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'object': {
      if (isObject(schema.additionalProperties))
        return fc.dictionary(
          fc.string({ maxLength: 5 }),
          documentOf(schema.additionalProperties as Schema, depth + 1),
          { maxKeys: 2, noNullPrototype: true },
        );
      // Deep below, only empty objects: defaults make them whole.
      const fields =
        depth > 5
          ? {}
          : Object.fromEntries(
              Object.entries(schema.properties ?? {}).map(([name, property]) => [
                name,
                documentOf(property, depth + 1),
              ]),
            );
      return fc.record(fields, { requiredKeys: [], noNullPrototype: true });
    }
    case 'array':
      return fc.array(documentOf(schema.items!, depth + 1), { maxLength: 2 });
    case 'integer':
      return fc.nat(10);
    case 'number':
      return fc.constantFrom(0, 0.5, 3);
    case 'boolean':
      return fc.boolean();
    default:
      return fc.constantFrom('a', 'b', '');
  }
}
