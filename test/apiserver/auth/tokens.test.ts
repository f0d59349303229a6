import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ensureAdminToken, ensureKubeconfig } from '../../../apiserver/auth/kubeconfig.ts';
import { createAuthenticator } from '../../../apiserver/auth/tokens.ts';

let directory: string;
let kubeconfig: string;
const errors: unknown[] = [];
const logger = { error: (...parts: unknown[]) => void errors.push(parts) };

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-tokens-'));
  kubeconfig = join(directory, 'kubeconfig');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("the administrator's token", () => {
  test('is known, and no other is', () => {
    const token = ensureAdminToken(kubeconfig, directory);
    const authenticator = createAuthenticator(directory, logger);
    expect(authenticator.userOf(token)).toMatchObject({
      username: 'tepui-admin',
      groups: expect.arrayContaining(['system:masters']),
    });
    expect(authenticator.userOf(`${token}x`)).toBeUndefined();
    expect(authenticator.userOf('')).toBeUndefined();
  });

  test('is kept on disk as a hash only, beside the kubeconfig', () => {
    const token = ensureAdminToken(kubeconfig, directory);
    expect(readFileSync(join(directory, 'admin-token.sha256'), 'utf8')).not.toContain(token);
    ensureKubeconfig(kubeconfig, { url: 'https://127.0.0.1:1', ca: 'ca', token });
    expect(statSync(kubeconfig).mode & 0o777).toBe(0o600);
  });

  test('stays the same as long as the kubeconfig holds it, and is new when that is gone', () => {
    const token = ensureAdminToken(kubeconfig, directory);
    ensureKubeconfig(kubeconfig, { url: 'https://127.0.0.1:1', ca: 'ca', token });
    expect(ensureAdminToken(kubeconfig, directory)).toBe(token);
    rmSync(kubeconfig);
    const next = ensureAdminToken(kubeconfig, directory);
    expect(next).not.toBe(token);
    expect(createAuthenticator(directory, logger).userOf(token)).toBeUndefined();
  });
});

describe('the token file', () => {
  const hash = createHash('sha256').update('hashed').digest('hex');

  test('names more users, by token or by its hash, and a bad line locks nobody out', () => {
    const lines = ['# comment', 'plain,bob,7,"dev,ops"', 'nonsense', `sha256:${hash},eve`, 'sha256:zz,mallory'];
    writeFileSync(join(directory, 'tokens.csv'), lines.join('\n'), { mode: 0o600 });
    const authenticator = createAuthenticator(directory, logger);
    expect(authenticator.userOf('plain')).toEqual({
      username: 'bob',
      uid: '7',
      groups: ['dev', 'ops', 'system:authenticated'],
    });
    expect(authenticator.userOf('hashed')).toMatchObject({ username: 'eve' });
    expect(authenticator.userOf('nonsense')).toBeUndefined();
  });

  test('may be edited while the server runs', async () => {
    const path = join(directory, 'tokens.csv');
    writeFileSync(path, 'old,bob', { mode: 0o600 });
    const authenticator = createAuthenticator(directory, logger);
    writeFileSync(path, 'new,bob');
    await new Promise((resolve) => setTimeout(resolve, 1050));
    expect(authenticator.userOf('old')).toBeUndefined();
    expect(authenticator.userOf('new')).toMatchObject({ username: 'bob' });
  });

  test.each([0o640, 0o604, 0o602])('is ignored, and the log says so, with mode %o', async (mode) => {
    const path = join(directory, 'tokens.csv');
    writeFileSync(path, 'open,bob');
    chmodSync(path, mode);
    errors.length = 0;
    const authenticator = createAuthenticator(directory, logger);
    expect(authenticator.userOf('open')).toBeUndefined();
    expect(errors).toEqual([[{ path, mode: `0${mode.toString(8)}` }, expect.stringContaining('chmod 600')]]);
    chmodSync(path, 0o600);
    await new Promise((resolve) => setTimeout(resolve, 1050));
    expect(authenticator.userOf('open')).toMatchObject({ username: 'bob' });
    expect(errors).toHaveLength(1);
  });
});
