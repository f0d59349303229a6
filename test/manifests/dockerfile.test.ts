import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ROOT } from './kustomize.ts';

const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8');

describe('the Dockerfile', () => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources]) => sources!.split(' '));

  test('copies only what is there, and what .dockerignore lets through', () => {
    expect(copied.length).toBeGreaterThan(5);
    for (const path of copied) {
      expect({ path, exists: existsSync(join(ROOT, path)) }).toEqual({ path, exists: true });
      expect(ignored).toContain(`!${path}\n`);
    }
  });

  test('copies every folder that the programs import from', () => {
    for (const folder of ['crds', 'apiserver', 'controllers', 'runtime', 'cli']) expect(copied).toContain(folder);
  });

  test('names images without a registry, and builds the launcher in a stage of its own', () => {
    const images = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
    expect(images).toHaveLength(2);
    for (const image of images) expect(image).toMatch(/^[a-z]+:[\w.-]+$/);
    expect(dockerfile).toContain('runtime/launcher/build.ts');
  });
});
