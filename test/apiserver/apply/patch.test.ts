import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { applyPatch } from '../../../apiserver/apply/patch.ts';
import { serviceAccountDefinition } from '../../../apiserver/builtin/service-account.ts';
import type { KubernetesObject, ResourceDefinition } from '../../../apiserver/resources/definition.ts';

const account: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name: 'a', namespace: 'default', labels: { x: '1' }, finalizers: ['a/b', 'c/d'] },
  secrets: [{ name: 's1' }, { name: 's2', uid: 'u' }],
};
const { strategicMergeKeys: _, ...custom } = serviceAccountDefinition;

const apply = (
  type: string,
  patch: unknown,
  existing = account,
  definition: ResourceDefinition = serviceAccountDefinition,
) =>
  applyPatch({ contentType: `application/${type}`, patch, existing, definition }) as KubernetesObject &
    Record<string, never>;

describe('a JSON patch', () => {
  test('carries out its operations in order, without touching the object it is about', () => {
    const before = JSON.stringify(account);
    const patched = apply('json-patch+json', [
      { op: 'test', path: '/metadata/labels/x', value: '1' },
      { op: 'add', path: '/metadata/labels/y~1z', value: '2' },
      { op: 'replace', path: '/secrets/0/name', value: 'new' },
      { op: 'add', path: '/secrets/-', value: { name: 's3' } },
      { op: 'add', path: '/secrets/0', value: { name: 's0' } },
      { op: 'remove', path: '/secrets/2' },
      { op: 'copy', from: '/metadata/labels/x', path: '/metadata/labels/copy' },
      { op: 'move', from: '/metadata/labels/x', path: '/metadata/labels/moved' },
      { op: 'test', path: '/nothing', value: null },
    ]);
    expect(patched.metadata.labels).toEqual({ 'y/z': '2', copy: '1', moved: '1' });
    expect(patched.secrets).toEqual([{ name: 's0' }, { name: 'new' }, { name: 's3' }]);
    expect(JSON.stringify(account)).toBe(before);
  });

  test.each([
    [
      { op: 'test', path: '/metadata/name', value: 'b' },
      'operation 0 (test /metadata/name) failed: the value is "a", not "b"',
    ],
    [{ op: 'replace', path: '/nope', value: 1 }, 'there is no value to replace'],
    [{ op: 'remove', path: '/nope' }, 'there is no value to remove'],
    [{ op: 'add', path: '/nope/x', value: 1 }, 'there is no value at /nope'],
    [{ op: 'add', path: '/secrets/9', value: {} }, 'the list has no index 9'],
    [{ op: 'add', path: '/secrets/-1', value: {} }, '"-1" is no index of a list'],
    [{ op: 'add', path: '/kind/x', value: 1 }, 'neither an object nor a list'],
    [{ op: 'move', from: '/metadata', path: '/metadata/labels' }, 'cannot be moved into itself'],
    [{ op: 'remove', path: '' }, 'the whole document cannot be removed'],
    [{ op: 'replace', path: '/kind', value: 'Other' }, 'kind: Invalid value: "Other": must be ServiceAccount'],
    [{ op: 'replace', path: '', value: {} }, 'the patch leaves no object with metadata'],
  ])('%j is unprocessable, and the message says why', (operation, message) => {
    expect(() => apply('json-patch+json', [operation])).toThrow(message);
    try {
      apply('json-patch+json', [operation]);
    } catch (error) {
      expect(error).toMatchObject({ httpStatus: 422 });
    }
  });

  test.each([
    [{}, 'a JSON patch must be an array of operations'],
    [[{ op: 'bogus', path: '/x' }], 'unsupported operation'],
    [[{ op: 'add', value: 1 }], 'operation missing path field'],
    [[{ op: 'add', path: '/x' }], 'operation missing value field'],
    [[{ op: 'add', path: 'x', value: 1 }], 'a JSON pointer starts with /'],
    [[{ op: 'copy', path: '/x' }], 'operation missing from field'],
    [[null], 'must be an object'],
  ])('%j is malformed', (patch, message) => {
    expect(() => apply('json-patch+json', patch)).toThrow(message);
    try {
      apply('json-patch+json', patch);
    } catch (error) {
      expect(error).toMatchObject({ httpStatus: 400 });
    }
  });

  test('may not be a bomb', () => {
    const tests = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'ServiceAccount' }));
    expect(() => apply('json-patch+json', tests)).toThrow(
      'The allowed maximum operations in a JSON patch is 10000, got 10001',
    );
    const doubling = [
      { op: 'add', path: '/b', value: ['x'.repeat(100)] },
      ...Array.from({ length: 60 }, () => ({ op: 'copy', from: '/b', path: '/b/-' })),
    ];
    expect(() => apply('json-patch+json', doubling)).toThrow('copy more than 3 MiB');
  });
});

describe('a merge patch', () => {
  test('merges objects, removes what is null, and replaces lists', () => {
    const patched = apply('merge-patch+json', {
      metadata: { labels: { x: null, y: '2' } },
      secrets: [{ name: 'z' }],
      deep: { a: { b: null, c: 1 } },
    });
    expect(patched.metadata.labels).toEqual({ y: '2' });
    expect(patched.secrets).toEqual([{ name: 'z' }]);
    expect(patched.deep).toEqual({ a: { c: 1 } });
  });

  test.each([
    [[], 'an array'],
    ['x', 'a string'],
    [null, 'null'],
  ])('of %j is refused', (patch, found) => {
    expect(() => apply('merge-patch+json', patch)).toThrow(`a merge patch must be a JSON object, not ${found}`);
  });

  test('applied twice is the same as applied once', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.jsonValue({ maxDepth: 3 })), (patch) => {
        const once = apply('merge-patch+json', patch);
        expect(apply('merge-patch+json', patch, once)).toEqual(once);
      }),
    );
  });
});

describe('a strategic merge patch', () => {
  const merged = (patch: object) => apply('strategic-merge-patch+json', patch);

  test('merges lists by their key; what the patch names goes first', () => {
    expect(merged({ secrets: [{ name: 'new' }] }).secrets).toEqual([
      { name: 'new' },
      { name: 's1' },
      { name: 's2', uid: 'u' },
    ]);
    expect(merged({ secrets: [{ name: 's2', kind: 'Secret' }] }).secrets).toEqual([
      { name: 's1' },
      { name: 's2', uid: 'u', kind: 'Secret' },
    ]);
  });

  test('obeys the directives', () => {
    expect(merged({ secrets: [{ name: 's1', $patch: 'delete' }] }).secrets).toEqual([{ name: 's2', uid: 'u' }]);
    expect(merged({ secrets: [{ $patch: 'replace' }, { name: 'only' }] }).secrets).toEqual([{ name: 'only' }]);
    expect(merged({ metadata: { labels: { $patch: 'replace', z: '1' } } }).metadata.labels).toEqual({ z: '1' });
    expect(merged({ metadata: { labels: { $patch: 'delete' } } }).metadata.labels).toEqual({});
    expect(merged({ metadata: { labels: { $retainKeys: ['y'], y: '1' } } }).metadata.labels).toEqual({ y: '1' });
    expect(merged({ secrets: null }).secrets).toBeUndefined();
    expect(merged({ fresh: { keep: 1, drop: null } }).fresh).toEqual({ keep: 1 });
  });

  test('orders by $setElementOrder', () => {
    const patch = {
      secrets: [{ name: 'n' }],
      '$setElementOrder/secrets': [{ name: 's2' }, { name: 'n' }, { name: 's1' }],
    };
    expect(merged(patch).secrets).toEqual([{ name: 's2', uid: 'u' }, { name: 'n' }, { name: 's1' }]);
  });

  test('treats finalizers as a set', () => {
    expect(merged({ metadata: { finalizers: ['e/f', 'a/b'] } }).metadata.finalizers).toEqual(
      expect.arrayContaining(['a/b', 'c/d', 'e/f']),
    );
    expect(merged({ metadata: { '$deleteFromPrimitiveList/finalizers': ['a/b'] } }).metadata.finalizers).toEqual([
      'c/d',
    ]);
  });

  test.each([
    [{ $patch: 'bogus' }, 'unknown patch type "bogus"'],
    [{ secrets: [{ kind: 'x' }] }, 'does not contain the merge key name'],
    [{ secrets: ['x'] }, 'the items of the patch must be objects'],
    [{ metadata: { labels: { $retainKeys: ['x'], y: '1' } } }, '$retainKeys does not name y'],
  ])('%j is refused', (patch, message) => {
    expect(() => merged(patch)).toThrow(message);
  });

  test('is not for custom resources', () => {
    expect(() => apply('strategic-merge-patch+json', {}, account, custom)).toThrow(
      'accepted media types include: application/json-patch+json, application/merge-patch+json',
    );
  });
});
