import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ensureBelow } from '../../../../runtime/agent/tasks/below.ts';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'tepui-below-')));
});
afterEach(() => rmSync(root, { recursive: true }));

test('a directory that an agent was killed while making does not stay in a volume, and nothing else goes', async () => {
  const [left, full, beside] = Array.from({ length: 3 }, (_, index) => `.tepui-${randomUUID()}-${index}`) as [
    string,
    string,
    string,
  ];
  for (const path of [left, `${full}/somebody`, beside, '.tepui-mine', 'data'])
    mkdirSync(join(root, path), { recursive: true });
  const longAgo = new Date(Date.now() - 120_000);
  for (const path of [left, full, '.tepui-mine']) utimesSync(join(root, path), longAgo, longAgo);
  await Promise.all(['a/b', 'a/c', 'd'].map((below) => ensureBelow(root, below)));
  expect(readdirSync(root).sort()).toEqual([full, beside, '.tepui-mine', 'a', 'd', 'data'].sort());
  expect(readdirSync(join(root, 'a')).sort()).toEqual(['b', 'c']);
});

test('several at once make the same directories once', async () => {
  const paths = Array.from({ length: 40 }, (_, index) => `one/two/${index % 8}`);
  const made = await Promise.all(paths.map((below) => ensureBelow(root, below, { mode: 0o750 })));
  expect(made).toEqual(paths.map((below) => join(root, below)));
  expect(readdirSync(join(root, 'one/two')).sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
  await expect(ensureBelow(root, '../x')).rejects.toThrow();
  expect(await ensureBelow(root, 'after')).toBe(join(root, 'after'));
});
