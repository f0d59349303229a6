import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { checkRules } from '../../crds/cel/rules.ts';
import { compose } from '../../crds/generate/compose.ts';
import { generate } from '../../crds/generate/outputs.ts';
import { loadCrds, withoutNewerFields } from '../../crds/load.ts';
import { applyDefaults } from '../../crds/structural/default.ts';
import { isObject, type Schema } from '../../crds/structural/schema.ts';
import { validateStructure } from '../../crds/structural/validate.ts';

const root = join(import.meta.dirname, '..', '..');

describe('what is generated from crds/sources', () => {
  test.each([...generate()])('%s is up to date (else run `npm run generate`)', (path, text) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(text);
  });

  test('Task.spec and the template of a Framework are made of one source', () => {
    const taskSpec = schemaAt('Task', ['spec']);
    const template = schemaAt('Framework', ['spec', 'template', 'spec']);
    const own = ['frameworkName', 'index', 'role', 'desiredState', 'binding', 'external'];
    const shared = Object.fromEntries(Object.entries(taskSpec.properties!).filter(([name]) => !own.includes(name)));
    expect(shared).toEqual(template.properties);
  });

  test('a stray comma in a description is refused', () => {
    expect(() => compose(join(import.meta.dirname, 'fixtures', 'stray-comma.yaml'))).toThrow(/stray key "b"/);
  });
});

describe.each(loadCrds().map((crd) => [crd.spec.names.kind, crd] as const))('the schema of %s', (_kind, crd) => {
  const schema = crd.spec.versions[0]!.schema.openAPIV3Schema;
  const nodes = [...walk(schema, '')];

  test('describes every field in a sentence', () => {
    const without = nodes.filter(({ node }) => !/[.)]$/.test(node.description ?? ''));
    expect(without.map(({ path }) => path)).toEqual([]);
  });

  test('bounds every list, map and text, so that rules have a bounded cost', () => {
    const unbounded = nodes.filter(({ node }) => {
      if (node.type === 'array') return node.maxItems === undefined;
      if (isObject(node.additionalProperties)) return node.maxProperties === undefined;
      return node.type === 'string' && !node.enum && node.maxLength === undefined && node.format !== 'date-time';
    });
    expect(unbounded.map(({ path }) => path)).toEqual([]);
  });

  test('says of every list how it is merged, with keys that are required or have a default', () => {
    for (const { path, node } of nodes) {
      if (node.type !== 'array') continue;
      expect({ path, type: node['x-kubernetes-list-type'] }).toEqual({
        path,
        type: expect.stringMatching(/^(map|set|atomic)$/),
      });
      for (const key of node['x-kubernetes-list-map-keys'] ?? []) {
        expect({
          path,
          key,
          known: node.items?.properties?.[key] !== undefined && node.items.required?.includes(key),
        }).toMatchObject({ known: true });
      }
    }
  });

  test('gives every rule a message, and every rule compiles', () => {
    for (const { path, node } of nodes) {
      for (const { message } of node['x-kubernetes-validations'] ?? [])
        expect({ path, message }).toMatchObject({ message: expect.stringMatching(/\S/) });
    }
    expect(checkRules(schema)).toEqual([]);
  });

  test('has defaults that fit their own schema', () => {
    for (const { path, node } of nodes) {
      if (node.default === undefined) continue;
      const value = { field: structuredClone(node.default) };
      const wrapped: Schema = { type: 'object', properties: { field: node } };
      applyDefaults(wrapped, value);
      expect({ path, errors: validateStructure(wrapped, value) }).toEqual({ path, errors: [] });
    }
  });

  test('shows its age in a column, is in the category tepui, and has a status', () => {
    const version = crd.spec.versions[0]!;
    expect(version.additionalPrinterColumns).toContainEqual({
      name: 'Age',
      type: 'date',
      jsonPath: '.metadata.creationTimestamp',
    });
    expect(version.subresources).toMatchObject({ status: {} });
    expect(crd.spec.names.categories).toEqual(['tepui']);
    for (const name of crd.spec.names.shortNames)
      expect(['po', 'no', 'svc', 'ds', 'sts', 'hpa', 'pv', 'pvc', 'ns', 'cm']).not.toContain(name);
  });

  test('can be stripped for servers that know no rules', () => {
    expect(JSON.stringify(withoutNewerFields(crd))).not.toMatch(/x-kubernetes-validations|selectableFields/);
  });
});

function schemaAt(kind: string, path: string[]): Schema {
  const crd = loadCrds().find((document) => document.spec.names.kind === kind)!;
  let schema = crd.spec.versions[0]!.schema.openAPIV3Schema;
  for (const name of path) schema = schema.properties![name]!;
  return schema;
}

function* walk(node: Schema, path: string): Generator<{ path: string; node: Schema }> {
  yield { path, node };
  for (const [name, property] of Object.entries(node.properties ?? {}))
    yield* walk(property, path ? `${path}.${name}` : name);
  if (node.items) yield* walk(node.items, `${path}[]`);
  if (isObject(node.additionalProperties)) yield* walk(node.additionalProperties as Schema, `${path}{}`);
}
