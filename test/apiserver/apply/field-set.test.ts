import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compare } from '../../../apiserver/apply/server-side/compare.ts';
import {
  decodeSet,
  difference,
  encodeSet,
  isEmpty,
  pathsOf,
  union,
  without,
} from '../../../apiserver/apply/server-side/field-set.ts';
import { fieldsOf } from '../../../apiserver/apply/server-side/fields-of.ts';
import { mergeDocuments } from '../../../apiserver/apply/server-side/merge-documents.ts';

const schema = {
  type: 'object',
  properties: {
    list: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name', 'port'],
      items: {
        type: 'object',
        properties: { name: { type: 'string' }, port: { type: 'integer', default: 80 }, value: { type: 'string' } },
      },
    },
    set: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
    whole: { type: 'array', items: { type: 'string' } },
    map: { type: 'object', additionalProperties: { type: 'string' } },
    atom: { type: 'object', 'x-kubernetes-map-type': 'atomic', additionalProperties: { type: 'string' } },
  },
};

const names = fc.constantFrom('a', 'b', 'c');
const documents = fc.record(
  {
    list: fc.uniqueArray(fc.record({ name: names, value: names }, { requiredKeys: ['name'] }), {
      selector: ({ name }) => name,
      maxLength: 3,
    }),
    set: fc.uniqueArray(names),
    whole: fc.array(names, { maxLength: 2 }),
    map: fc.dictionary(names, names),
    atom: fc.dictionary(names, names),
  },
  { requiredKeys: [] },
);

test('the fields of a document are its leaves, items and map keys', () => {
  const document = { list: [{ name: 'a', value: 'x' }], set: ['s'], whole: ['w'], map: { k: 'v' }, atom: { k: 'v' } };
  const set = fieldsOf(schema, document);
  expect(encodeSet(set)).toEqual({
    'f:atom': {},
    'f:list': { 'k:{"name":"a","port":80}': { '.': {}, 'f:name': {}, 'f:value': {} } },
    'f:map': { 'f:k': {} },
    'f:set': { 'v:"s"': {} },
    'f:whole': {},
  });
  expect(pathsOf(set)).toContain('.list[name="a",port=80].value');
  expect(pathsOf(without(set, [['list'], ['map', 'k']])).sort()).toEqual(['.atom', '.set[="s"]', '.whole']);
});

test('a field set is the same after being written and read', () => {
  fc.assert(
    fc.property(documents, (document) => {
      const set = fieldsOf(schema, document);
      expect(encodeSet(decodeSet(JSON.parse(JSON.stringify(encodeSet(set))))!)).toEqual(encodeSet(set));
    }),
  );
});

test('union and difference are what they are for sets', () => {
  fc.assert(
    fc.property(documents, documents, (a, b) => {
      const [left, right] = [fieldsOf(schema, a), fieldsOf(schema, b)];
      const all = new Set([...pathsOf(left), ...pathsOf(right)]);
      expect(new Set(pathsOf(union(left, right)))).toEqual(all);
      const others = new Set(pathsOf(right));
      expect(new Set(pathsOf(difference(left, right)))).toEqual(
        new Set(pathsOf(left).filter((path) => !others.has(path))),
      );
      expect(isEmpty(difference(left, left))).toBe(true);
    }),
  );
});

test('merging is idempotent, keeps what is applied, and changes nothing that is not', () => {
  fc.assert(
    fc.property(documents, documents, (live, applied) => {
      const once = mergeDocuments(schema, live, applied);
      expect(mergeDocuments(schema, once, applied)).toEqual(once);
      expect(isEmpty(difference(fieldsOf(schema, applied), fieldsOf(schema, once)))).toBe(
        // An empty list or map that is merged with a full one is no leaf any more.
        pathsOf(difference(fieldsOf(schema, applied), fieldsOf(schema, once))).length === 0,
      );
      const { removed } = compare(schema, live, once);
      expect(pathsOf(removed)).toEqual([]);
      expect(isEmpty(compare(schema, once, once).written)).toBe(true);
    }),
  );
});
