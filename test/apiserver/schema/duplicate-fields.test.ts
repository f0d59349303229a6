import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { duplicateFields } from '../../../apiserver/schema/duplicate-fields.ts';

test.each([
  ['{"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]}', []],
  ['{"a":1,"a":2}', ['a']],
  ['{"spec":{"color":"red","color" : "blue"}}', ['spec.color']],
  ['{"spec":{"ports":[{"x":1},{"x":1,"y":{"z":[]},"x":2}]}}', ['spec.ports[1].x']],
  ['{"note":"a \\"b\\": c","other":"{\\"x\\":1,\\"x\\":2}"}', []],
  ['{"a":"\\":","a":1}', ['a']],
  ['{"a":[[1,2],[{"b":1,"b":1}]]}', ['a[1][0].b']],
])('%s has twice: %j', (text, paths) => {
  expect(duplicateFields(text, JSON.parse(text))).toEqual(paths);
});

test('no text that was written from a value has a field twice', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(duplicateFields(JSON.stringify(value, undefined, 1), value)).toEqual([]);
    }),
  );
});
