import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { keptCertificate } from '../../../apiserver/auth/kept-certificate.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-kept-'));
  path = join(directory, 'endpoint');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const wanted = { commonName: 'tepui-agent:node-1', days: 100, names: ['localhost', '127.0.0.1'] };
const now = new Date();
const inDays = (days: number) => new Date(now.getTime() + days * 24 * 3600_000);

test('a self-signed certificate is kept while it is what is wanted', async () => {
  const first = await keptCertificate(path, wanted, now);
  expect(new X509Certificate(first.cert).checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(statSync(`${path}.key`).mode & 0o077).toBe(0);
  expect(await keptCertificate(path, wanted, inDays(70))).toEqual(first);
  expect(await keptCertificate(path, { ...wanted, names: ['localhost'] }, now)).toEqual(first);
});

test.each([
  ['it nears its end', wanted, 80],
  ['a name is new', { ...wanted, names: ['192.0.2.1'] }, 0],
  ['its owner is another', { ...wanted, commonName: 'tepui-agent:node-2' }, 0],
])('and made anew when %s', async (_why, next, days) => {
  const first = await keptCertificate(path, wanted, now);
  const second = await keptCertificate(path, next, inDays(days));
  expect(second.cert).not.toBe(first.cert);
  expect(second.key).not.toBe(first.key);
});

test('a key that was being written when the process was killed does not stay', async () => {
  writeFileSync(`${path}.key.0123abcd.tmp`, 'a private key');
  writeFileSync(`${path}.key.of-the-operator.tmp`, '');
  await keptCertificate(path, wanted, now);
  expect(readdirSync(directory).sort()).toEqual(['endpoint.crt', 'endpoint.key', 'endpoint.key.of-the-operator.tmp']);
});

test('OpenSSL accepts it for what it is', async () => {
  await keptCertificate(path, wanted, now);
  const args = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', `${path}.crt`, `${path}.crt`];
  expect(execFileSync('openssl', args).toString()).toContain('OK');
});
