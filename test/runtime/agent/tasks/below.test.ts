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
