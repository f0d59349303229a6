import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseManifests, readManifests } from '../../../controllers/gitops/documents.ts';

describe('parseManifests', () => {
  test('reads several documents, and the items of a List, and names their places', () => {
    const text =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n- {apiVersion: v1, kind: Secret, metadata: {name: c}}\n---\n';
    const { documents, errors } = parseManifests(text, 'x.yaml');
    expect(errors).toEqual([]);
    expect(documents.map(({ source, object }) => [source, object.kind, object.metadata.name])).toEqual([
      ['x.yaml#1', 'ConfigMap', 'a'],
      ['x.yaml#2', 'Secret', 'b'],
      ['x.yaml#2[1]', 'Secret', 'c'],
    ]);
  });

  test('names line and column of a syntax error and still reads the other documents', () => {
    const { documents, errors } = parseManifests(
      'a: [\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n',
      'x.yaml',
    );
    expect(errors.length).toBeGreaterThan(0);
    expect(errors[0]?.place).toMatch(/^x\.yaml:\d+:\d+$/);
    expect(documents.map(({ object }) => object.metadata.name)).toEqual(['a']);
  });

  test.each([
    ['just text', /not an object/],
    ['kind: X\nmetadata: {name: a}', /apiVersion/],
    ['apiVersion: v1\nmetadata: {name: a}', /kind/],
    ['apiVersion: v1\nkind: X', /metadata/],
    ['apiVersion: v1\nkind: X\nmetadata: {}', /metadata\.name/],
  ])('refuses %j', (text, message) => {
    const { documents, errors } = parseManifests(text, 'x.yaml');
    expect(documents).toEqual([]);
    expect(errors[0]?.message).toMatch(message);
  });

  test('refuses a document that doubles a key, and one that expands without bound', () => {
    expect(parseManifests('a: 1\na: 2\n', 'x.yaml').errors[0]?.message).toMatch(/unique/i);
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x,x]',
      ...'bcdefghi'
        .split('')
        .map((key, index) => `${key}: &${key} [${Array(10).fill(`*${'abcdefgh'[index]}`).join(',')}]`),
    ].join('\n');
    expect(parseManifests(bomb, 'x.yaml').errors.length).toBeGreaterThan(0);
  });
});

test('readManifests passes over hidden files and kustomization.yaml, and reports a file that is not UTF-8', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tepui-gitops-'));
  try {
    writeFileSync(join(directory, '.hidden.yaml'), 'broken: [');
    writeFileSync(join(directory, 'kustomization.yaml'), 'resources: []');
    writeFileSync(join(directory, 'notes.txt'), 'no manifest');
    writeFileSync(join(directory, 'latin.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xe9, 0x0a]));
    writeFileSync(join(directory, 'good.json'), '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}');
    const { documents, errors } = await readManifests(directory);
    expect(documents.map(({ file }) => file)).toEqual(['good.json']);
    expect(errors).toEqual([{ file: 'latin.yaml', place: 'latin.yaml', message: 'is not valid UTF-8' }]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
