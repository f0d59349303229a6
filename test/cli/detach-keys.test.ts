import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createDetachFilter, parseDetachKeys } from '../../cli/session/detach-keys.ts';

test('keys are read as Docker writes them', () => {
  expect([...parseDetachKeys('ctrl-p,ctrl-q')]).toEqual([16, 17]);
  expect([...parseDetachKeys('ctrl-],x,ctrl-@')]).toEqual([29, 120, 0]);
  expect([...parseDetachKeys('')]).toEqual([]);
  for (const bad of ['ctrl-', 'ctrl-1', 'xy', 'a,,b', 'ü']) expect(() => parseDetachKeys(bad)).toThrow('--detach-keys');
});

function run(keys: string, chunks: string[]): { passed: string; detached: boolean } {
  const filter = createDetachFilter(Buffer.from(keys));
  let passed = '';
  for (const chunk of chunks) {
    const { data, detached } = filter.pass(Buffer.from(chunk));
    passed += data.toString();
    if (detached) return { passed, detached };
  }
  return { passed, detached: false };
}

test('the sequence detaches, also in pieces and after a false start, and what came before it is passed on', () => {
  expect(run('pq', ['abpq'])).toEqual({ passed: 'ab', detached: true });
  expect(run('pq', ['ap', 'qz'])).toEqual({ passed: 'a', detached: true });
  expect(run('pq', ['ppq'])).toEqual({ passed: 'p', detached: true });
  expect(run('aab', ['aaab'])).toEqual({ passed: 'a', detached: true });
  expect(run('pq', ['p', 'x'])).toEqual({ passed: 'px', detached: false });
  expect(run('', ['anything'])).toEqual({ passed: 'anything', detached: false });
});

test('nothing is lost or turned around, whatever is typed', () => {
  const letter = fc.constantFrom('a', 'b', 'c');
  const word = fc.array(letter, { minLength: 1, maxLength: 4 }).map((letters) => letters.join(''));
  fc.assert(
    fc.property(word, fc.array(word, { maxLength: 12 }), (keys, chunks) => {
      const typed = chunks.join('');
      const at = typed.indexOf(keys);
      const { passed, detached } = run(keys, chunks);
      expect(detached).toBe(at >= 0);
      if (at >= 0) expect(passed).toBe(typed.slice(0, at));
      else expect(typed.startsWith(passed) && typed.length - passed.length < keys.length).toBe(true);
    }),
  );
});
