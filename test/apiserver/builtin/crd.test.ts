import { describe, expect, test } from '@jest/globals';
import { crdDefinition } from '../../../apiserver/builtin/crd/definition.ts';
import type { FieldCause } from '../../../apiserver/http/errors.ts';
import type { KubernetesObject, OpenApiSchema } from '../../../apiserver/resources/definition.ts';
import { crdCases, crdWith, schemaCases } from '../conformance/crd-cases.ts';

function causes(crd: object, existing?: KubernetesObject): { field: string; message: string }[] {
  try {
    crdDefinition.admit(crd as KubernetesObject, {
      operation: existing ? 'update' : 'create',
      fieldValidation: 'Strict',
      ...(existing && { existing }),
    });
  } catch (error) {
    const { details, message } = error as { details?: { causes?: FieldCause[] }; message: string };
    return details?.causes ?? [{ field: '', message }];
  }
  return [];
}

const ofSchema = (openAPIV3Schema: OpenApiSchema) =>
  causes(crdWith({ versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }] }));

describe('a CRD', () => {
  test('gets its other names, the conversion strategy and the clean-up finalizer', () => {
    const { object } = crdDefinition.admit(crdWith({}) as KubernetesObject, {
      operation: 'create',
      fieldValidation: 'Strict',
    });
    expect(object.spec).toMatchObject({
      names: { singular: 'yak', listKind: 'YakList' },
      conversion: { strategy: 'None' },
    });
    expect(object.metadata.finalizers).toEqual(['customresourcecleanup.apiextensions.k8s.io']);
  });

  test.each(schemaCases)('with a schema of $name: $wrong', ({ schema, wrong }) => {
    const found = ofSchema(schema).map(
      ({ field, message }) => `${field.replace('spec.versions[0].schema.openAPIV3Schema', '#')}: ${message}`,
    );
    expect(found.length > 0).toBe(wrong !== 'fine');
    if (wrong !== 'fine') expect(found.join('\n')).toContain(wrong);
  });

  test.each(crdCases)('that $name: $wrong', ({ crd, wrong }) => {
    const found = causes(crd).map(({ field, message }) => `${field}: ${message}`);
    expect(found.length > 0).toBe(wrong !== 'fine');
    if (wrong !== 'fine') expect(found.join('\n')).toContain(wrong);
  });

  test('may have several versions, and says which one is wrong', () => {
    const openAPIV3Schema = { type: 'object' };
    const second = {
      name: 'v2',
      served: true,
      storage: false,
      schema: { openAPIV3Schema: { type: 'object', properties: { a: {} } } },
    };
    const found = causes(
      crdWith({ versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }, second] }),
    );
    expect(found).toMatchObject([{ field: 'spec.versions[1].schema.openAPIV3Schema.properties[a].type' }]);
  });

  test('keeps its group, plural, and once established its scope and kind', () => {
    const established = { type: 'Established', status: 'True' };
    const existing = {
      ...crdWith({}),
      status: { conditions: [established], storedVersions: ['v1'] },
    } as unknown as KubernetesObject;
    expect(causes(crdWith({ scope: 'Cluster' }), existing)).toMatchObject([
      { field: 'spec.scope', message: expect.stringContaining('field is immutable') },
    ]);
    const renamed = crdWith({
      versions: [{ name: 'v2', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
    });
    expect(causes(renamed, existing)).toMatchObject([{ field: 'status.storedVersions[0]' }]);
  });

  test('with an unknown keyword in its schema is refused strictly', () => {
    expect(ofSchema({ type: 'object', properties: { a: { type: 'string', bogus: 1 } } })[0]!.message).toContain(
      'unknown field "spec.versions[0].schema.openAPIV3Schema.properties[a].bogus"',
    );
  });
});
