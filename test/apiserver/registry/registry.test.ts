import { describe, expect, test } from '@jest/globals';
import type { CustomResourceDefinition } from '../../../apiserver/builtin/crd/types.ts';
import { crdStatus, createRegistry } from '../../../apiserver/registry/registry.ts';

function crd(plural: string, kind: string, names: object = {}, more: object = {}): CustomResourceDefinition {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.x.example.com`,
      uid: plural,
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      group: 'x.example.com',
      scope: 'Namespaced',
      names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List`, ...names },
      versions: [
        { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
        { name: 'v2', served: true, storage: false, schema: { openAPIV3Schema: { type: 'object' } } },
        { name: 'v3', served: false, storage: false, schema: { openAPIV3Schema: { type: 'object' } } },
      ],
    },
    ...more,
  } as unknown as CustomResourceDefinition;
}

const withStatus = (of: CustomResourceDefinition, registry = createRegistry()) =>
  ({ ...of, status: crdStatus(of, registry) }) as CustomResourceDefinition;

describe('the registry', () => {
  test('serves each served version of a CRD, and tells its listeners', () => {
    const registry = createRegistry();
    let changes = 0;
    const end = registry.onChange(() => changes++);
    registry.applyCrd(crd('yaks', 'Yak'));
    expect(registry.find('x.example.com', 'v1', 'yaks')).toMatchObject({
      kind: 'Yak',
      listKind: 'YakList',
      singular: 'yak',
    });
    expect(registry.find('x.example.com', 'v2', 'yaks')).toBeDefined();
    expect(registry.find('x.example.com', 'v3', 'yaks')).toBeUndefined();
    registry.removeCrd('yaks.x.example.com');
    registry.removeCrd('yaks.x.example.com');
    expect(registry.find('x.example.com', 'v1', 'yaks')).toBeUndefined();
    expect(changes).toBe(2);
    end();
    registry.applyCrd(crd('yaks', 'Yak'));
    expect(changes).toBe(2);
  });

  test('keeps the definitions of a CRD while others come and go: watches hang on them', () => {
    const registry = createRegistry();
    registry.applyCrd(crd('yaks', 'Yak'));
    const before = registry.find('x.example.com', 'v1', 'yaks');
    registry.applyCrd(crd('gnus', 'Gnu'));
    registry.applyCrd(withStatus(crd('yaks', 'Yak')));
    expect(registry.find('x.example.com', 'v1', 'yaks')).toBe(before);
    registry.applyCrd(crd('yaks', 'Yak', {}, { metadata: { name: 'yaks.x.example.com', uid: 'yaks', generation: 2 } }));
    expect(registry.find('x.example.com', 'v1', 'yaks')).not.toBe(before);
  });

  test('stores all versions of a kind in one place, in the storage version', () => {
    const registry = createRegistry();
    registry.applyCrd(crd('yaks', 'Yak'));
    const [v1, v2] = ['v1', 'v2'].map((version) => registry.find('x.example.com', version, 'yaks')!);
    const seen = { apiVersion: 'x.example.com/v2', kind: 'Yak', metadata: { name: 'a' } };
    expect(v2!.storage!.toStored(seen)).toEqual({ ...seen, apiVersion: 'x.example.com/v1' });
    expect(v2!.storage!.fromStored(v2!.storage!.toStored(seen))).toEqual(seen);
    expect(v1!.storage!.fromStored(seen).apiVersion).toBe('x.example.com/v1');
    expect(v1!.storage!.key).toBe(v2!.storage!.key);
  });
});

describe('the status of a CRD', () => {
  test('says that the names are accepted and the kind is established', () => {
    const status = crdStatus(crd('yaks', 'Yak', { shortNames: ['yk'] }), createRegistry());
    expect(status.conditions).toMatchObject([
      { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' },
      { type: 'Established', status: 'True', reason: 'InitialNamesAccepted' },
    ]);
    expect(status.acceptedNames).toEqual({
      plural: 'yaks',
      singular: 'yak',
      shortNames: ['yk'],
      kind: 'Yak',
      listKind: 'YakList',
    });
    expect(status.storedVersions).toEqual(['v1']);
  });

  test.each([
    ['a kind', crd('oxen', 'Yak', { listKind: 'OxList', singular: 'ox' }), 'KindConflict', '"Yak" is already in use'],
    ['a list kind', crd('oxen', 'Ox', { listKind: 'YakList' }), 'ListKindConflict', '"YakList" is already in use'],
    ['a short name', crd('oxen', 'Ox', { shortNames: ['o', 'yk'] }), 'ShortNamesConflict', '"yk" is already in use'],
    ['a singular', crd('oxen', 'Ox', { singular: 'yak' }), 'SingularConflict', '"yak" is already in use'],
  ])('says that %s is taken; such a CRD is not served until the other is gone', (_, second, reason, message) => {
    const registry = createRegistry();
    registry.applyCrd(withStatus(crd('yaks', 'Yak', { shortNames: ['yk'] }), registry));
    registry.applyCrd(second);
    expect(crdStatus(second, registry).conditions).toMatchObject([
      { type: 'NamesAccepted', status: 'False', reason, message },
      { type: 'Established', status: 'False', reason: 'NotAccepted' },
    ]);
    expect(registry.find('x.example.com', 'v1', 'oxen')).toBeUndefined();
    registry.removeCrd('yaks.x.example.com');
    expect(registry.find('x.example.com', 'v1', 'oxen')).toBeDefined();
    expect(crdStatus(second, registry).conditions).toMatchObject([{ status: 'True' }, { status: 'True' }]);
  });

  test('does not change when nothing does', () => {
    const registry = createRegistry();
    const first = withStatus(crd('yaks', 'Yak'), registry);
    registry.applyCrd(first);
    expect(crdStatus(first, registry, new Date(0))).toEqual(first.status);
  });

  test('gives a name to one of two CRDs that come at once', () => {
    const registry = createRegistry();
    const [a, b] = [crd('aaas', 'Same', { singular: 'a' }), crd('bbbs', 'Same', { singular: 'b' })];
    registry.applyCrd(a);
    registry.applyCrd(b);
    const accepted = [a, b].map((each) => crdStatus(each, registry).conditions[0]!.status);
    expect(accepted).toEqual(['True', 'False']);
  });
});
