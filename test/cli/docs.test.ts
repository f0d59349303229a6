import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { validateDocument } from '../../crds/validate.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = globSync('{*.md,docs/**/*.md,manifests/**/*.md,{apiserver,bench,cli,controllers,crds,runtime}/**/*.md}', {
  cwd: root,
});
const read = (path: string) => readFileSync(join(root, path), 'utf8');

test.each(pages)('%s leads nowhere that does not exist', (page) => {
  const text = withoutCode(read(page));
  const links = [...text.matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  expect(links.filter((target) => !/^[a-z]+:/.test(target) && !leadsSomewhere(page, target))).toEqual([]);
});

test.each(pages)('documents in %s are good', (page) => {
  const blocks = [...read(page).matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, block]) => block!);
  const indented = [...read(page).matchAll(/(?:^ {4}.*\n)+/gm)].map(([block]) => block.replace(/^ {4}/gm, ''));
  const problems = [...blocks, ...indented]
    .filter((block) => /^apiVersion: tepui\.dev\//m.test(block))
    .flatMap((block) => parseAllDocuments(block))
    .flatMap((document) => validateDocument(document.toJS()).errors.map(({ message }) => message));
  expect(problems).toEqual([]);
});

function leadsSomewhere(page: string, target: string): boolean {
  const [path, anchor] = target.split('#', 2) as [string, string?];
  const file = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(root, file))) return false;
  if (anchor === undefined) return true;
  return statSync(join(root, file)).isFile() && anchorsOf(read(file)).has(anchor);
}

/** As GitHub makes them: lower case, punctuation away, spaces to dashes, repeated ones numbered. */
function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of withoutFences(markdown).matchAll(/^#{1,6} +(.+)$/gm)) {
    const base = heading!
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = base;
    for (let number = 1; anchors.has(anchor); number += 1) anchor = `${base}-${number}`;
    anchors.add(anchor);
  }
  return anchors;
}

function withoutFences(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```/gm, '');
}

function withoutCode(markdown: string): string {
  return withoutFences(markdown).replace(/`[^`\n]*`/g, '');
}
