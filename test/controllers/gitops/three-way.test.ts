import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { threeWayMergePatch } from '../../../controllers/gitops/three-way.ts';

describe('threeWayMergePatch', () => {
  test('sets what differs, removes what is no longer declared, leaves what others set', () => {
    const patch = threeWayMergePatch(
      { spec: { a: 1, gone: 2 } },
      { spec: { a: 1, gone: 2, theirs: 3 } },
      { spec: { a: 5 } },
    );
    expect(patch).toEqual({ spec: { a: 5, gone: null } });
  });

  test('replaces lists whole', () => {
    expect(threeWayMergePatch({}, { list: [1, 2] }, { list: [2] })).toEqual({ list: [2] });
  });

  test('removing something that is already gone is no change', () => {
    expect(threeWayMergePatch({ spec: { gone: 1 } }, { spec: {} }, { spec: {} })).toEqual({});
  });

  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.integer({ min: 0, max: 3 }),
      fc.constantFrom('a', 'b'),
      fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 2 }),
      tie('object'),
    ),
    object: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3 }),
  })).object as fc.Arbitrary<Record<string, unknown>>;

  test('applied to the current object, it gives everything desired and nothing that was dropped', () => {
    fc.assert(
      fc.property(json, json, json, (last, current, desired) => {
        const after = mergePatch(current, threeWayMergePatch(last, current, desired));
        expect(threeWayMergePatch(last, after, desired)).toEqual({});
        for (const key of Object.keys(last)) if (!(key in desired)) expect(after).not.toHaveProperty(key);
      }),
    );
  });

  test('is empty for an object that is as desired already', () => {
    fc.assert(fc.property(json, (object) => expect(threeWayMergePatch(object, object, object)).toEqual({})));
  });
});

/** RFC 7386, as the server does it. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}
