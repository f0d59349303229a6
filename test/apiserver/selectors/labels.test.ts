import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseLabelSelector } from '../../../apiserver/selectors/labels.ts';

const labels = { app: 'web', tier: 'front', weight: '5', empty: '' };

describe('a label selector', () => {
  test.each([
    ['', true],
    ['app', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web , tier=front', true],
    ['app=db', false],
    ['app!=db', true],
    ['absent!=x', true],
    ['app!=web', false],
    ['!absent', true],
    ['!app', false],
    ['app in (db,web)', true],
    ['app in (db)', false],
    ['app notin (db)', true],
    ['absent notin (db)', true],
    ['absent in (db)', false],
    ['empty=', true],
    ['app=', false],
    ['empty in ()', true],
    ['weight>4', true],
    ['weight>5', false],
    ['weight<6,app', true],
    ['app>1', false],
    ['in in (in)', false],
    ['tepui.dev/framework', false],
  ])('%j selects the object: %s', (text, selected) => {
    expect(parseLabelSelector(text)(labels)).toBe(selected);
  });

  test.each([
    ['x in', "unable to parse requirement: found '' expected: '('"],
    ['x=1,', "found '', expected: identifier after ','"],
    [',', "found ',', expected: !, identifier, or 'end of string'"],
    ['x in (1', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['A B', "unable to parse requirement: found 'B', expected: in, notin, =, ==, !=, gt, lt"],
    ['!x=1', "found '=', expected: ',' or 'end of string'"],
    ['x=1 y=2', "found 'y', expected: ',' or 'end of string'"],
    ['x<a', "values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an integer"],
    ['-x', 'unable to parse requirement: <nil>: Invalid value: "-x": name part must consist of'],
    ['x=@', 'values[0][x]: Invalid value: "@": a valid label must be an empty string or consist of'],
    ['a/b/c=1', 'a valid label key must consist of'],
  ])('%j is refused in the genuine words', (text, message) => {
    expect(() => parseLabelSelector(text)).toThrow(message);
  });

  test('either parses or is refused with 400, whatever the text', () => {
    const pieces = fc.constantFrom(
      'a',
      'b-c',
      'in',
      'notin',
      '=',
      '==',
      '!=',
      '!',
      '(',
      ')',
      ',',
      ' ',
      '<',
      '>',
      '@',
      '1',
      'x/y',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        try {
          expect(typeof parseLabelSelector(parts.join(''))(labels)).toBe('boolean');
        } catch (error) {
          expect(error).toMatchObject({ code: 'BadRequest' });
        }
      }),
    );
  });
});
