import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compilePattern } from '../../../controllers/scheduler/pattern.ts';

describe('patterns of constraints', () => {
  test.each([
    ['rack-1', ['rack-1'], ['rack-2', 'xrack-1', 'rack-11']],
    ['rack-[1-3]', ['rack-1', 'rack-3'], ['rack-4', 'rack-']],
    ['rack-[^13]', ['rack-2', 'rack-x'], ['rack-1', 'rack-3', 'rack-']],
    ['a|b|cd', ['a', 'b', 'cd'], ['c', 'ab']],
    ['(ab)*c?', ['', 'ab', 'ababc', 'c'], ['a', 'abcc']],
    ['a{2}b{1,2}c{2,}', ['aabcc', 'aabbccc'], ['abcc', 'aabbbcc', 'aabc']],
    ['\\d+\\.\\w\\s', ['12.x '], ['12xx ', '.x ']],
    ['^host.*$', ['host', 'hostname'], ['ahost']],
    ['(?:a|b)+', ['abba'], ['', 'abc']],
    ['[-a]]?', ['-', 'a]'], ['b']],
    ['\\D\\S', ['ab'], ['1a', 'a ']],
    ['', [''], ['a']],
  ])('%s matches the whole text', (pattern, matching, others) => {
    const matches = compilePattern(pattern)!;
    expect(matching.filter((text) => !matches(text))).toEqual([]);
    expect(others.filter((text) => matches(text))).toEqual([]);
  });

  test.each([
    '(',
    ')',
    '[',
    '[z-a]',
    'a**{',
    '*a',
    '\\1',
    '(?=a)',
    'a{3,1}',
    'a{99999}',
    '\\',
    '(?',
    'a{5,}{5,}{500}{5000}',
  ])('the malformed or unsupported pattern %s is refused', (pattern) => {
    expect(compilePattern(pattern)).toBeUndefined();
  });

  test('a pattern that makes other engines run for ever is quick', () => {
    const started = performance.now();
    expect(compilePattern('(a+)+(a|a)*b')!('a'.repeat(2000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test('it agrees with the engine of JavaScript on what both support', () => {
    const part = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '(a|b)', 'a*', 'b+', 'a?', '(ab){1,2}', '|');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), fc.stringMatching(/^[abc]{0,8}$/), (parts, text) => {
        const pattern = parts.join('');
        expect(compilePattern(pattern)!(text)).toBe(new RegExp(`^(?:${pattern})$`).test(text));
      }),
      { numRuns: 500 },
    );
  });
});
