import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
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
  const [left, full] = [`.tepui-${randomUUID()}`, `.tepui-${randomUUID()}-1`];
  for (const path of [left, `${full}/somebody`, '.tepui-mine', 'data'])
    mkdirSync(join(root, path), { recursive: true });
  await Promise.all(['a/b', 'a/c', 'd'].map((below) => ensureBelow(root, below)));
  expect(readdirSync(root).sort()).toEqual([full, '.tepui-mine', 'a', 'd', 'data'].sort());
  expect(readdirSync(join(root, 'a')).sort()).toEqual(['b', 'c']);
});
