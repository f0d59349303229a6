import { describe, expect, test } from '@jest/globals';
import type { FieldValidation, KubernetesObject } from '../../../apiserver/resources/definition.ts';
import { buildAdmit } from '../../../apiserver/schema/admit.ts';
import { deepFreeze } from '../../../apiserver/store/entry.ts';

const strict = (maximum: number) => ({
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['color'],
      properties: {
        color: { type: 'string' },
        replicas: { type: 'integer', default: 1, maximum },
        nested: { type: 'object', default: {}, properties: { depth: { type: 'integer', default: 2 } } },
      },
      'x-kubernetes-validations': [
        { rule: "self.color != 'blue' || self.replicas < 3", message: 'blue has at most 2' },
      ],
    },
    status: { type: 'object', properties: { ready: { type: 'boolean' } } },
  },
});

const admitOf = (maximum = 5) =>
  buildAdmit({ group: 'g.io', version: 'v1', plural: 'things', kind: 'Thing', schema: strict(maximum) });
const thing = (spec: unknown, more: object = {}): KubernetesObject => ({
  apiVersion: 'g.io/v1',
  kind: 'Thing',
  metadata: { name: 'a' },
  spec,
  ...more,
});

function admit(
  object: KubernetesObject,
  existing?: KubernetesObject,
  fieldValidation: FieldValidation = 'Warn',
  maximum?: number,
) {
  return admitOf(maximum)(object, {
    operation: existing ? 'update' : 'create',
    fieldValidation,
    ...(existing && { existing }),
  });
}

describe('admission', () => {
  test('fills in defaults, also inside of defaults, on a copy', () => {
    const given = Object.freeze(thing(Object.freeze({ color: 'red' })));
    expect(admit(given).object.spec).toEqual({ color: 'red', replicas: 1, nested: { depth: 2 } });
    expect(given.spec).toEqual({ color: 'red' });
  });

  test('drops unknown fields, and tells or refuses them as asked', () => {
    const given = thing({ color: 'red', bogus: 1, nested: { x: 1 } }, { extra: true });
    expect(admit(given, undefined, 'Ignore')).toMatchObject({ warnings: [] });
    expect(admit(given).warnings).toEqual([
      'unknown field "extra"',
      'unknown field "spec.bogus"',
      'unknown field "spec.nested.x"',
    ]);
    expect(admit(given).object).not.toHaveProperty('extra');
    expect(() => admit(given, undefined, 'Strict')).toThrow(
      'Thing in version "v1" cannot be handled as a Thing: strict decoding error: unknown field "extra", unknown field "spec.bogus", unknown field "spec.nested.x"',
    );
  });

  test('names every broken field at once, with its causes', () => {
    expect(() => admit(thing({ replicas: 9 }))).toThrow('Thing.g.io "a" is invalid: [');
    try {
      admit(thing({ replicas: 9 }));
    } catch (error) {
      expect(error).toMatchObject({ httpStatus: 422, details: { kind: 'Thing', group: 'g.io', name: 'a' } });
      const { causes } = (error as { details: { causes: { field: string }[] } }).details;
      expect(causes.map(({ field }) => field).sort()).toEqual(['spec.color', 'spec.replicas']);
    }
    expect(() => admit(thing({ color: 'blue', replicas: 4 }))).toThrow('spec: Invalid value: blue has at most 2');
  });

  test('lets an object with an old fault change everything else, but not the faulty part', () => {
    const old = admit(thing({ color: 'red', replicas: 5 })).object;
    const reported = { ...old, status: { ready: true } };
    const labelled = { ...old, metadata: { name: 'a', labels: { x: '1' } } };
    expect(admit(reported, old, 'Warn', 3).object.status).toEqual({ ready: true });
    expect(admit(labelled, old, 'Warn', 3).object.metadata.labels).toEqual({ x: '1' });
    expect(() => admit({ ...old, spec: { color: 'green', replicas: 5 } }, old, 'Warn', 3)).toThrow('spec.replicas');
    expect(() => admit(old, undefined, 'Warn', 3)).toThrow('spec.replicas');
  });

  describe('of a part that this schema has passed and that does not change', () => {
    const admitted = admitOf();
    const write = (object: KubernetesObject, existing?: KubernetesObject) =>
      admitted(object, {
        operation: existing ? 'update' : 'create',
        fieldValidation: 'Warn',
        ...(existing && { existing }),
      });
    const stored = () => deepFreeze(write(thing({ color: 'red' })).object);

    test('takes it over as it is, also when it comes as a copy', () => {
      const old = stored();
      expect(write({ ...old, status: { ready: true } }, old).object.spec).toBe(old.spec);
      const copy = structuredClone({ ...old, status: { ready: true, bogus: 1 } });
      expect(write(copy, old)).toEqual({
        object: { ...old, status: { ready: true } },
        warnings: ['unknown field "status.bogus"'],
      });
    });

    test('checks the others, and what changes', () => {
      const old = stored();
      expect(() => write({ ...old, status: { ready: 'yes' } }, old)).toThrow('status.ready');
      expect(() => write({ ...old, spec: { color: 'blue', replicas: 4 } }, old)).toThrow('blue has at most 2');
      expect(() => write(thing(undefined), old)).not.toThrow();
      expect(write({ ...old, spec: { color: 'red', bogus: 1 } }, old).warnings).toEqual(['unknown field "spec.bogus"']);
    });

    test('does not trust a part that may still be changed, or that another version of the schema has passed', () => {
      const loose = write(thing({ color: 'red' })).object;
      (loose.spec as { replicas: number }).replicas = 9;
      expect(write({ ...loose, status: { ready: true } }, loose).object.spec).not.toBe(loose.spec);
      const old = stored();
      const other = admitOf(7)({ ...old, status: {} }, { operation: 'update', fieldValidation: 'Warn', existing: old });
      expect(other.object.spec).not.toBe(old.spec);
    });
  });
});
