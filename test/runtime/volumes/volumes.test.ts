import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  ensureVolumeDirectory,
  measureDirectory,
  removeVolumeDirectory,
  volumePath,
} from '../../../runtime/volumes/index.ts';

let directory: string;
let root: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-volumes-'));
  root = join(directory, 'volumes');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const owner = { uid: 1234, gid: 4321, mode: 0o2770 };

describe('ensureVolumeDirectory', () => {
  test('makes the directory with owner and mode below its role, with slashes of the role as spaces', async () => {
    const path = await ensureVolumeDirectory({ root, role: 'eng/prod', id: 'default.data', owner });
    expect(path).toBe(`${root}/roles/eng prod/default.data`);
    const { uid, gid, mode } = statSync(path);
    expect([uid, gid, mode & 0o7777]).toEqual([1234, 4321, 0o2770]);
    expect(readdirSync(join(root, 'roles/eng prod'))).toEqual(['default.data']);
  });

  test('takes an existing directory over with its data, owner and mode', async () => {
    const path = await ensureVolumeDirectory({ root, role: '*', id: 'a', owner });
    writeFileSync(join(path, 'file'), 'data');
    expect(await ensureVolumeDirectory({ root, role: '*', id: 'a', owner: { uid: 0, gid: 0 } })).toBe(path);
    expect(readFileSync(join(path, 'file'), 'utf8')).toBe('data');
    expect(statSync(path).uid).toBe(1234);
  });

  test('can be asked for many times at once', async () => {
    await Promise.all(Array.from({ length: 10 }, () => ensureVolumeDirectory({ root, role: '*', id: 'a', owner })));
    expect(readdirSync(join(root, 'roles/*'))).toEqual(['a']);
  });

  test('goes on with one that a killed agent left unfinished; a removal takes that too', async () => {
    mkdirSync(join(root, 'roles/*/.making-a'), { recursive: true });
    const path = await ensureVolumeDirectory({ root, role: '*', id: 'a', owner });
    expect([statSync(path).uid, readdirSync(join(root, 'roles/*'))]).toEqual([1234, ['a']]);
    mkdirSync(join(root, 'roles/*/.making-b'));
    await removeVolumeDirectory({ root, role: '*', id: 'b' });
    expect(readdirSync(join(root, 'roles/*'))).toEqual(['a']);
  });

  test.each(['..', '.', '', '.hidden', 'a/b', 'a\0b', 'x'.repeat(256)])('refuses the id %j', async (id) => {
    await expect(ensureVolumeDirectory({ root, role: '*', id, owner })).rejects.toThrow(
      'cannot be the name of a directory',
    );
    expect(existsSync(root)).toBe(false);
  });

  test.each(['..', 'a b', ''])('refuses the role %j', (role) => {
    expect(() => volumePath({ root, role, id: 'a' })).toThrow(/role "/);
  });

  test('does not follow a symbolic link in place of a role or a volume', async () => {
    const outside = join(directory, 'outside');
    mkdirSync(outside);
    mkdirSync(join(root, 'roles/r'), { recursive: true });
    symlinkSync(outside, join(root, 'roles/evil'));
    symlinkSync(outside, join(root, 'roles/r/evil'));
    await expect(ensureVolumeDirectory({ root, role: 'evil', id: 'a', owner })).rejects.toThrow(/ENOTDIR|ELOOP/);
    await expect(ensureVolumeDirectory({ root, role: 'r', id: 'evil', owner })).rejects.toThrow('is not a directory');
    expect(readdirSync(outside)).toEqual([]);
  });
});

describe('removeVolumeDirectory', () => {
  test('removes the data without following symbolic links, and can be repeated', async () => {
    const outside = join(directory, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'keep'), '');
    const path = await ensureVolumeDirectory({ root, role: '*', id: 'a', owner });
    mkdirSync(join(path, 'deep/er'), { recursive: true });
    writeFileSync(join(path, 'deep/er/file'), 'x');
    symlinkSync(outside, join(path, 'deep/link'));
    await removeVolumeDirectory({ root, role: '*', id: 'a' });
    await removeVolumeDirectory({ root, role: '*', id: 'a' });
    expect(readdirSync(join(root, 'roles/*'))).toEqual([]);
    expect(readdirSync(outside)).toEqual(['keep']);
  });

  test('removes names that are not UTF-8, of files, links and directories', async () => {
    const path = await ensureVolumeDirectory({ root, role: '*', id: 'a', owner });
    const odd = (name: string) => Buffer.concat([Buffer.from(`${path}/`), Buffer.from(name, 'latin1')]);
    mkdirSync(odd('dir\xff\xfe'));
    mkdirSync(odd('dir\xff\xfe/\x80'));
    writeFileSync(odd('dir\xff\xfe/\x80/\xe4'), 'x');
    symlinkSync('/', odd('\xfflink'));
    await removeVolumeDirectory({ root, role: '*', id: 'a' });
    expect(readdirSync(join(root, 'roles/*'))).toEqual([]);
  });

  test('finishes a removal that was cut short, and leaves other volumes alone', async () => {
    await ensureVolumeDirectory({ root, role: '*', id: 'other', owner });
    mkdirSync(join(root, 'roles/*/.removing-a-0123'), { recursive: true });
    writeFileSync(join(root, 'roles/*/.removing-a-0123/file'), 'x');
    await removeVolumeDirectory({ root, role: '*', id: 'a' });
    expect(readdirSync(join(root, 'roles/*'))).toEqual(['other']);
  });

  test('a volume that never existed is gone', async () => {
    await removeVolumeDirectory({ root, role: 'none', id: 'a' });
    expect(existsSync(root)).toBe(false);
  });
});

test('measureDirectory counts what is under names that are not UTF-8', async () => {
  const path = await ensureVolumeDirectory({ root, role: '*', id: 'a', owner });
  const empty = await measureDirectory(path);
  mkdirSync(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff])]));
  writeFileSync(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff, 0x2f, 0xfe])]), Buffer.alloc(1 << 20, 1));
  expect((await measureDirectory(path)) - empty).toBeGreaterThanOrEqual(1 << 20);
});

test('measureDirectory counts blocks, and hard links once', async () => {
  const path = await ensureVolumeDirectory({ root, role: '*', id: 'a', owner });
  const empty = await measureDirectory(path);
  writeFileSync(join(path, 'file'), Buffer.alloc(1 << 20, 1));
  linkSync(join(path, 'file'), join(path, 'again'));
  const used = (await measureDirectory(path)) - empty;
  expect(used).toBeGreaterThanOrEqual(1 << 20);
  expect(used).toBeLessThan(1.1 * (1 << 20));
});
