import { describe, expect, test } from '@jest/globals';
import { checkRules, validateRules } from '../../crds/cel/rules.ts';
import type { Schema, ValidationRule } from '../../crds/structural/schema.ts';

const object = (properties: Record<string, Schema>, rule: string | ValidationRule): Schema => ({
  type: 'object',
  properties,
  'x-kubernetes-validations': [typeof rule === 'string' ? { rule, message: 'broken' } : rule],
});
const messages = (schema: Schema, value: unknown, old?: unknown) =>
  validateRules(schema, value, old).map((error) => error.message);

/** Whether a rule without a document holds. */
const holds = (rule: string) => validateRules(object({}, { rule }), {}).map((error) => error.message);

describe('functions of Kubernetes', () => {
  test.each([
    "'a/b'.split('/').size() == 2",
    "'abc'.matches('^a')",
    "'abc'.find('b.') == 'bc'",
    "'a1b2'.findAll('[0-9]') == ['1', '2']",
    "'a1b2'.findAll('[0-9]', 1) == ['1']",
    "'aXbX'.replace('X', '-') == 'a-b-'",
    "'aXbX'.replace('X', '-', 1) == 'a-bX'",
    "'abc'.charAt(1) == 'b'",
    "'ABC'.lowerAscii() == 'abc'",
    "'abc'.reverse() == 'cba'",
    "' a '.trim() == 'a'",
    "'%s has %d'.format(['x', 3]) == 'x has 3'",
    "'%.2f'.format([1.234]) == '1.23'",
    "['a', 'b'].join('-') == 'a-b'",
    '[1, 2, 3].sum() == 6',
    '[3, 1].min() == 1',
    '[3, 1].max() == 3',
    '[1, 2, 3].isSorted()',
    '![2, 1].isSorted()',
    '[1, 2, 1].indexOf(1) == 0',
    '[1, 2, 1].lastIndexOf(1) == 2',
    'sets.contains([1, 2, 3], [2])',
    'sets.equivalent([1, 2], [2, 1, 1])',
    '!sets.intersects([1], [2])',
    "quantity('1Gi').isGreaterThan(quantity('1G'))",
    "quantity('500m').compareTo(quantity('0.5')) == 0",
    "isQuantity('1Ki') && !isQuantity('x')",
    "quantity('1k').asInteger() == 1000",
    "quantity('1').add(quantity('500m')).compareTo(quantity('1.5')) == 0",
    "quantity('2').sub(1).isInteger()",
    "quantity('-1').sign() == -1",
    "quantity('1500m').asApproximateFloat() == 1.5",
    "url('https://a.example:8080/x?y').getPort() == '8080'",
    "url('https://a.example/x').getHostname() == 'a.example'",
    "isURL('/x') && !isURL('x y')",
    "isIP('::1') && ip('127.0.0.1').isLoopback() && ip('::1').family() == 6",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3')",
    "!cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
    "isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0/40')",
    "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
    "duration('1h') > duration('30m')",
    "timestamp('2026-01-01T00:00:00Z') < timestamp('2027-01-01T00:00:00Z')",
    'type(1) == int',
    '[1, 2].exists(x, x == 2) && [1, 2].all(x, x > 0) && [1, 1].exists_one(x, x == 2) == false',
  ])('%s', (rule) => expect(holds(rule)).toEqual([]));
});

describe('validateRules', () => {
  test('sees integers, texts, times and bytes with their types', () => {
    const properties: Record<string, Schema> = {
      i: { type: 'integer' },
      n: { type: 'number' },
      t: { type: 'string', format: 'date-time' },
      b: { type: 'string', format: 'byte' },
      q: { 'x-kubernetes-int-or-string': true },
    };
    const value = { i: 2, n: 2, t: '2026-01-01T00:00:00Z', b: 'aGk=', q: 5 };
    const rule =
      'type(self.i) == int && type(self.n) == double && self.t.getFullYear() == 2026 && self.b.size() == 2 && type(self.q) == int && self.q < 6';
    expect(messages(object(properties, rule), value)).toEqual([]);
  });

  test('sees only the name of the document itself, and no field without a schema', () => {
    const schema = object(
      { spec: { type: 'object', properties: {} } },
      "self.metadata.name == 'n' && !has(self.metadata.labels) && self.kind == 'K'",
    );
    const value = { kind: 'K', metadata: { name: 'n', labels: {} }, spec: { free: 1 } };
    expect(messages(schema, value)).toEqual(
      ['<nil>: Invalid value: "object": No such key: labels evaluating rule: broken'].slice(1),
    );
    expect(messages(object({ spec: schema.properties!.spec! }, 'self.spec.free == 1'), value)[0]).toMatch(
      /no such key: free evaluating rule/,
    );
  });

  test('escapes names that are no identifiers', () => {
    const schema = object(
      { 'a-b': { type: 'integer' }, namespace: { type: 'string' }, 'c.d/e': { type: 'integer' } },
      'self.a__dash__b == 1 && self.__namespace__ == "x" && self.c__dot__d__slash__e == 2',
    );
    expect(messages(schema, { 'a-b': 1, namespace: 'x', 'c.d/e': 2 })).toEqual([]);
  });

  test('names fields, items and keys of maps in the path', () => {
    const leaf: Schema = {
      type: 'integer',
      'x-kubernetes-validations': [{ rule: 'self > 0', message: 'must be above 0' }],
    };
    const schema: Schema = {
      type: 'object',
      properties: { list: { type: 'array', items: leaf }, map: { type: 'object', additionalProperties: leaf } },
    };
    expect(messages(schema, { list: [1, 0], map: { 'a.b': -1 } })).toEqual([
      'list[1]: Invalid value: 0: must be above 0',
      'map[a.b]: Invalid value: -1: must be above 0',
    ]);
  });

  test('uses reason, fieldPath and messageExpression of a rule', () => {
    const rule = {
      rule: 'has(self.a)',
      reason: 'FieldValueRequired',
      fieldPath: '.a',
      message: 'static',
      messageExpression: "'need ' + string(self.b)",
    };
    expect(messages(object({ a: { type: 'string' }, b: { type: 'integer' } }, rule), { b: 3 })).toEqual([
      'a: Required value: need 3',
    ]);
    expect(messages(object({ a: { type: 'string' } }, { ...rule, messageExpression: 'self.nothing' }), {})).toEqual([
      'a: Required value: static',
    ]);
  });

  test('says the rule itself when there is no message', () => {
    expect(messages(object({ a: { type: 'integer' } }, { rule: 'self.a > 1' }), { a: 1 })).toEqual([
      '<nil>: Invalid value: failed rule: self.a > 1',
    ]);
  });

  test('evaluates rules with oldSelf also between a frozen value and itself, each time they fail', () => {
    const grows = object({ a: { type: 'integer' } }, 'self.a > oldSelf.a');
    const equal = object({ a: { type: 'integer' } }, 'self.a == oldSelf.a');
    const value = Object.freeze({ a: 1 });
    for (let round = 0; round < 2; round++) {
      expect(validateRules(grows, value, value)).toHaveLength(1);
      expect(validateRules(equal, value, value)).toEqual([]);
    }
    expect(validateRules(equal, { a: 2 }, value)).toHaveLength(1);
  });

  test('evaluates rules with oldSelf only on updates', () => {
    const schema = object({ a: { type: 'integer' } }, 'self.a >= oldSelf.a');
    expect(messages(schema, { a: 1 })).toEqual([]);
    expect(messages(schema, { a: 1 }, { a: 2 })).toEqual(['<nil>: Invalid value: broken']);
    expect(messages(schema, { a: 2 }, { a: 2 })).toEqual([]);
  });

  test('finds the old item of a list with keys wherever it was, and of no other list', () => {
    const items = object({ k: { type: 'string' }, v: { type: 'integer' } }, 'self.v == oldSelf.v');
    const map: Schema = {
      type: 'object',
      properties: { l: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'], items } },
    };
    expect(
      messages(
        map,
        {
          l: [
            { k: 'b', v: 9 },
            { k: 'a', v: 1 },
          ],
        },
        {
          l: [
            { k: 'a', v: 1 },
            { k: 'b', v: 2 },
          ],
        },
      ),
    ).toEqual(['l[0]: Invalid value: broken']);
    const atomic: Schema = { type: 'object', properties: { l: { type: 'array', items } } };
    expect(messages(atomic, { l: [{ k: 'b', v: 9 }] }, { l: [{ k: 'b', v: 2 }] })).toEqual([]);
  });

  test('does not hold unchanged parts to rules about themselves', () => {
    const schema: Schema = {
      type: 'object',
      properties: {
        spec: object({ a: { type: 'integer' } }, 'self.a > 0'),
        status: { type: 'object', properties: { x: { type: 'integer' } } },
      },
    };
    expect(messages(schema, { spec: { a: 0 }, status: { x: 2 } }, { spec: { a: 0 }, status: { x: 1 } })).toEqual([]);
    expect(messages(schema, { spec: { a: -1 } }, { spec: { a: 0 } })).toEqual(['spec: Invalid value: broken']);
  });

  test('gives rules with optionalOldSelf an optional', () => {
    const rule = {
      rule: 'oldSelf.hasValue() ? self.a >= oldSelf.value().a : self.a == 0',
      optionalOldSelf: true,
      message: 'broken',
    };
    expect(messages(object({ a: { type: 'integer' } }, rule), { a: 0 })).toEqual([]);
    expect(messages(object({ a: { type: 'integer' } }, rule), { a: 1 })).toHaveLength(1);
    expect(messages(object({ a: { type: 'integer' } }, rule), { a: 1 }, { a: 0 })).toEqual([]);
  });

  test('an error in a rule is an error of the field, not an exception', () => {
    expect(messages(object({ a: { type: 'integer' } }, 'self.a / 0 == 1'), { a: 1 })[0]).toMatch(
      /evaluating rule: broken/,
    );
    expect(messages(object({}, 'self.('), {})[0]).toMatch(/evaluating rule: broken/);
  });
});

describe('checkRules', () => {
  test('reports what cannot be compiled, with the place in the schema', () => {
    const schema: Schema = {
      type: 'object',
      properties: {
        a: { type: 'array', items: object({}, 'self.(') },
        b: object({}, 'noSuchFunction(1)'),
        c: object({}, 'noSuchVariable == 1'),
      },
    };
    expect(checkRules(schema).map((error) => error.path)).toEqual([
      'properties[a].items.x-kubernetes-validations[0].rule',
      'properties[b].x-kubernetes-validations[0].rule',
      'properties[c].x-kubernetes-validations[0].rule',
    ]);
  });
});
