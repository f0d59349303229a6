import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSandbox, removeEmptyPaths, removeSandbox } from '../../../../runtime/agent/tasks/sandbox.ts';

describe('a sandbox that an agent was killed at', () => {
  let root: string;
  const key = { namespace: 'default', task: 'web', groupId: 'run' };
  const owner = { uid: process.getuid!(), gid: process.getgid!() };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tepui-sandbox-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  test('while it was removed: the next removal takes the rest of its path', async () => {
    await createSandbox(root, key, owner);
    rmSync(join(root, 'default/web/runs/run'), { recursive: true });
    rmSync(join(root, 'default/web/latest'));
    rmdirSync(join(root, 'default/web/runs'));
    await removeSandbox(root, key);
    expect(readdirSync(root)).toEqual([]);
  });

  test('while `latest` was pointed to it: it goes with the link that was not finished', async () => {
    await createSandbox(root, key, owner);
    symlinkSync('runs/run', join(root, 'default/web/latest.run'));
    await removeSandbox(root, key);
    expect(readdirSync(root)).toEqual([]);
  });

  test('and that no record knows: the next start takes its path, and no other', async () => {
    await createSandbox(root, key, owner);
    rmSync(join(root, 'default/web/runs/run'), { recursive: true });
    mkdirSync(join(root, 'other/making'), { recursive: true });
    await createSandbox(root, { ...key, task: 'kept' }, owner);

    await removeEmptyPaths(root);
    expect(readdirSync(root)).toEqual(['default']);
    expect(readdirSync(join(root, 'default'))).toEqual(['kept']);
    expect(existsSync(join(root, 'default/kept/latest'))).toBe(true);
  });
});
