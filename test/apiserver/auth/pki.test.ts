import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ensureServerIdentity } from '../../../apiserver/auth/pki.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-pki-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const day = 24 * 3600_000;

describe('the server certificate', () => {
  test('is signed by the own CA and good for loopback, the host and the chosen address', async () => {
    const identity = await ensureServerIdentity(directory, 'fe80::12');
    const certificate = new X509Certificate(identity.cert);
    expect(certificate.verify(new X509Certificate(identity.ca).publicKey)).toBe(true);
    for (const name of ['localhost', hostname()]) expect(certificate.checkHost(name)).toBe(name);
    for (const address of ['127.0.0.1', '::1', 'fe80::12']) expect(certificate.checkIP(address)).toBe(address);
    expect(certificate.checkIP('10.0.0.1')).toBeUndefined();
  });

  test('passes the strict check of OpenSSL', async () => {
    await ensureServerIdentity(directory, '127.0.0.1');
    const args = [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-CAfile',
      join(directory, 'ca.crt'),
      join(directory, 'server.crt'),
    ];
    expect(execFileSync('openssl', args).toString()).toContain('OK');
  });

  test('and its keys are readable by the owner only', async () => {
    await ensureServerIdentity(directory, '127.0.0.1');
    for (const file of ['ca.key', 'server.key']) expect(statSync(join(directory, file)).mode & 0o077).toBe(0);
  });

  test('stays while it is good', async () => {
    const first = await ensureServerIdentity(directory, '127.0.0.1');
    expect(await ensureServerIdentity(directory, '127.0.0.1')).toEqual(first);
  });

  test('is renewed before its end and when the address changes, under the same CA', async () => {
    const first = await ensureServerIdentity(directory, '127.0.0.1');
    const moved = await ensureServerIdentity(directory, '192.0.2.1');
    expect(moved.cert).not.toBe(first.cert);
    const late = await ensureServerIdentity(directory, '192.0.2.1', new Date(Date.now() + 300 * day));
    expect(late.cert).not.toBe(moved.cert);
    expect(late.ca).toBe(first.ca);
  });

  test('is made again when a file is damaged', async () => {
    await ensureServerIdentity(directory, '127.0.0.1');
    writeFileSync(join(directory, 'server.crt'), 'nonsense');
    const again = await ensureServerIdentity(directory, '127.0.0.1');
    expect(new X509Certificate(again.cert).checkIP('127.0.0.1')).toBe('127.0.0.1');
  });
});

test('a renewed CA keeps its key, so old kubeconfigs trust new certificates', async () => {
  const first = await ensureServerIdentity(directory, '127.0.0.1');
  const later = await ensureServerIdentity(directory, '127.0.0.1', new Date(Date.now() + 3000 * day));
  expect(later.ca).not.toBe(first.ca);
  expect(new X509Certificate(later.cert).verify(new X509Certificate(first.ca).publicKey)).toBe(true);
});

test('a certificate outlives the year 2049, when the form of its times changes', async () => {
  const { ca } = await ensureServerIdentity(directory, '127.0.0.1', new Date('2045-01-01T00:00:00.123Z'));
  expect(Date.parse(new X509Certificate(ca).validTo)).toBe(Date.parse('2054-12-30T00:00:00Z'));
});
