import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FetchFailed, withoutCredentials } from '../../../runtime/fetcher/errors.ts';
import { planFetch } from '../../../runtime/fetcher/plan.ts';
import { fetchProblems } from '../../../runtime/fetcher/validate.ts';

const plan = (value: string, more: object = {}) => planFetch({ value, ...more });

test('the name is the last part of the path, decoded, without the query', () => {
  expect(plan('http://h/a/b.txt?x=/y#z').destination).toBe('b.txt');
  expect(plan('http://h/a%20b.txt').destination).toBe('a b.txt');
  expect(plan('file:///srv/x').destination).toBe('x');
  expect(plan('http://h/a', { outputFile: 'd/e' }).destination).toBe('d/e');
});

test('archives are known by their names, also when the output file says another one; executable wins over extract', () => {
  for (const name of ['a.tar', 'a.tar.gz', 'a.tgz', 'a.tar.bz2', 'a.tbz2', 'a.tar.xz', 'a.txz', 'a.tar.zst', 'A.TGZ']) {
    expect([name, plan(`http://h/${name}`).unpack]).toEqual([name, 'Tar']);
  }
  expect(plan('http://h/a.zip').unpack).toBe('Unzip');
  expect(plan('http://h/a.txt.gz')).toMatchObject({ unpack: 'Gunzip', unpackedDestination: 'a.txt' });
  expect(plan('http://h/a', { outputFile: 'd/x.zip' }).unpack).toBe('Unzip');
  expect(plan('http://h/a.zip', { outputFile: 'x' }).unpack).toBe('Unzip');
  for (const name of ['a', 'a.gz.txt', 'tar', '.gz', 'a.rar'])
    expect([name, plan(`http://h/${name}`).unpack]).toEqual([name, undefined]);
  expect(plan('http://h/a.zip', { extract: false }).unpack).toBeUndefined();
  expect(plan('http://h/a.zip', { executable: true })).toMatchObject({ mode: 0o755 });
  expect(plan('http://h/a.zip', { executable: true }).unpack).toBeUndefined();
});

test('what cannot be fetched is refused with what to do about it', () => {
  const refused = (value: string, more: object = {}) =>
    fetchProblems({ name: 'c', uris: [{ value, ...more }] }, 'p', ['/srv'])[0];
  expect(refused('http://h/a')).toBeUndefined();
  expect(refused('a/b')).toMatch(/^p\.uris\[0\]: .*no absolute address/);
  expect(refused('ftp://h/a')).toContain('"ftp" is not supported');
  expect(refused('hdfs://h/a')).toContain('"hdfs" is not supported');
  expect(refused('http://h/')).toContain('set `outputFile`');
  expect(refused('http://h')).toContain('set `outputFile`');
  for (const name of ['%2e%2e', '..%2f..%2fetc%2fpasswd', '%2fetc%2fpasswd', 'a%00b', 'x'.repeat(256)]) {
    expect([name, refused(`http://h/${name}`)]).toEqual([name, expect.stringContaining('outputFile')]);
  }
  for (const outputFile of ['../a', '/a', 'a/../b', 'a//b', './a', 'a/']) {
    expect([outputFile, refused('http://h/a', { outputFile })]).toEqual([
      outputFile,
      expect.stringContaining('outputFile'),
    ]);
  }
  expect(refused('http://h/%zz')).toContain('percent-encoded');
  expect(refused('file:///srv/%zz/a')).toContain('percent-encoded');
  expect(refused('file:///srv/a')).toBeUndefined();
  for (const path of ['/etc/hostname', '/srv/../etc/hostname', '/srv/%2e%2e/etc/hostname', '/srvother/a'])
    expect([path, refused(`file://${path}`)]).toEqual([path, expect.stringContaining('allowedHostPaths')]);
  expect(refused('file://elsewhere/srv/a')).toContain('write file:///path');
  expect(refused('http://h/stdout')).toContain('"stdout" is the log');
  expect(refused('http://h/a', { outputFile: 'stderr' })).toContain('"stderr" is the log');
  expect(refused('http://h/a', { outputFile: 'logs/stderr' })).toBeUndefined();
});

test('whatever the address, a destination stays in the sandbox', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.webUrl({ withQueryParameters: true }),
        fc.string().map((text) => `http://h/${text}`),
      ),
      (value) => {
        try {
          const { destination } = plan(value);
          expect(destination.startsWith('/')).toBe(false);
          expect(destination.split('/')).not.toContain('..');
          expect(destination).not.toBe('');
        } catch (error) {
          expect((error as Error).name).toBe('FetchFailed');
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('messages have no password, no signed query, and nothing that steers a terminal', () => {
  expect(new FetchFailed('http://h/a', 'tar: x\u001b[2Jy\n').message).toBe('cannot fetch http://h/a: tar: x [2Jy ');
  expect(withoutCredentials('https://me:secret@h/a?sig=secret')).toBe('https://h/a?...');
  expect(withoutCredentials('http://me:secret@[broken/a?sig=secret')).not.toContain('secret');
});
