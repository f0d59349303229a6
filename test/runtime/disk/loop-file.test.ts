import { execFileSync, spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { growLoopFile, loopFileUsage, mountLoopFile, unmountLoopFile } from '../../../runtime/disk/loop-file.ts';
import { measureDirectories } from '../../../runtime/disk/measure-directories.ts';
import { mountsBelow } from '../../../runtime/volumes/mounts.ts';

const MIB = 2 ** 20;
const canMount =
  process.getuid?.() === 0 && spawnSync('which', ['mkfs.ext4']).status === 0 && existsSync('/dev/loop-control');
if (!canMount) console.warn('file systems in files: skipped, they need root, mkfs.ext4 and loop devices');
/** CAP_SYS_RESOURCE */
const mayResizeMounted =
  (BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]}`) >> 24n) % 2n === 1n;
const suite = canMount ? describe : describe.skip;

suite('a file system in a file', () => {
  let base: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'tepui-loop-'));
    mkdirSync(join(base, 'mount'));
  });
  afterEach(async () => {
    await unmountLoopFile(join(base, 'mount'));
    rmSync(base, { recursive: true });
  });
  const options = (sizeBytes: number, more = {}) => ({
    file: join(base, 'files/image'),
    mountPoint: join(base, 'mount'),
    sizeBytes,
    owner: { uid: 1234, gid: 4321, mode: 0o750 },
    ...more,
  });
  const loopDevices = () => execFileSync('losetup', ['-n', '-O', 'BACK-FILE'], { encoding: 'utf8' }).includes(base);

  test('has its size, belongs to its owner, is empty, and leaves no loop device', async () => {
    await mountLoopFile(options(8 * MIB));
    const mount = join(base, 'mount');
    expect(readdirSync(mount)).toEqual([]);
    const { uid, gid, mode } = statSync(mount);
    expect([uid, gid, mode & 0o7777]).toEqual([1234, 4321, 0o750]);
    const { usedBytes, sizeBytes } = await loopFileUsage(mount);
    expect(sizeBytes).toBeGreaterThan(7 * MIB);
    expect(sizeBytes).toBeLessThanOrEqual(8 * MIB);
    expect(usedBytes).toBeLessThan(MIB);
    expect(() => writeFileSync(join(mount, 'big'), Buffer.alloc(9 * MIB))).toThrow('ENOSPC');
    await unmountLoopFile(mount);
    await unmountLoopFile(mount);
    expect(loopDevices()).toBe(false);
    expect(await mountsBelow(base)).toEqual([]);
  });

  test('keeps data and owner over mounts, and mounting twice is once', async () => {
    await mountLoopFile(options(8 * MIB));
    writeFileSync(join(base, 'mount/data'), 'kept');
    chownSync(join(base, 'mount'), 7, 7);
    await unmountLoopFile(join(base, 'mount'));
    await mountLoopFile(options(16 * MIB));
    await mountLoopFile(options(16 * MIB));
    expect(await mountsBelow(base)).toHaveLength(1);
    expect(readFileSync(join(base, 'mount/data'), 'utf8')).toBe('kept');
    expect(statSync(join(base, 'mount')).uid).toBe(7);
  });

  test('grows while it is mounted (where the kernel lets us), and while it is not', async () => {
    await mountLoopFile(options(8 * MIB, { reserve: true }));
    writeFileSync(join(base, 'mount/data'), 'kept');
    const { file, mountPoint } = options(0);
    if (!mayResizeMounted) {
      await expect(growLoopFile({ file, mountPoint, sizeBytes: 32 * MIB, reserve: true })).rejects.toThrow(
        'Permission',
      );
      await unmountLoopFile(mountPoint);
    }
    expect(await growLoopFile({ file, mountPoint, sizeBytes: 32 * MIB, reserve: true })).toBe(32 * MIB);
    if (mayResizeMounted) expect((await loopFileUsage(mountPoint)).sizeBytes).toBeGreaterThan(28 * MIB);
    await unmountLoopFile(mountPoint);
    expect(await growLoopFile({ file, mountPoint, sizeBytes: 48 * MIB })).toBe(48 * MIB);
    expect(await growLoopFile({ file, mountPoint, sizeBytes: 4 * MIB })).toBe(48 * MIB);
    await mountLoopFile(options(8 * MIB));
    expect((await loopFileUsage(mountPoint)).sizeBytes).toBeGreaterThan(40 * MIB);
    expect(readFileSync(join(mountPoint, 'data'), 'utf8')).toBe('kept');
  });

  test('reserves its space on request, and else takes what is used', async () => {
    const blocks = () => statSync(join(base, 'files/image')).blocks * 512;
    await mountLoopFile(options(32 * MIB));
    expect(blocks()).toBeLessThan(8 * MIB);
    await unmountLoopFile(join(base, 'mount'));
    rmSync(join(base, 'files'), { recursive: true });
    await mountLoopFile(options(32 * MIB, { reserve: true }));
    expect(blocks()).toBeGreaterThanOrEqual(32 * MIB);
  });

  test('what somebody else mounted there is left alone', async () => {
    execFileSync('mount', ['-t', 'tmpfs', 'tepui-test', join(base, 'mount')]);
    await unmountLoopFile(join(base, 'mount'));
    expect(await mountsBelow(base)).toHaveLength(1);
    execFileSync('umount', [join(base, 'mount')]);
  });

  test('a size that is too small is refused, and nothing is left', async () => {
    await expect(mountLoopFile(options(1000))).rejects.toThrow('too small');
    expect(existsSync(join(base, 'files'))).toBe(false);
  });
});

describe('the disk usage of many directories', () => {
  let base: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'tepui-du-'));
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  test('counts blocks once per file, however deep, and leaves out what does not exist', async () => {
    mkdirSync(join(base, 'a/deep/er'), { recursive: true });
    writeFileSync(join(base, 'a/deep/er/file'), Buffer.alloc(MIB));
    execFileSync('ln', [join(base, 'a/deep/er/file'), join(base, 'a/again')]);
    execFileSync('ln', ['-s', '/usr', join(base, 'a/usr')]);
    mkdirSync(join(base, 'with\nnewline'));
    const found = new Map<string, number>();
    const paths = ['a', 'nothing', 'with\nnewline'].map((name) => join(base, name));
    await measureDirectories(paths, (path, bytes) => void found.set(path, bytes));
    expect([...found.keys()]).toEqual([paths[0], paths[2]]);
    expect(found.get(paths[0]!)).toBeGreaterThanOrEqual(MIB);
    expect(found.get(paths[0]!)).toBeLessThan(1.2 * MIB);
  });

  test('tells nothing of directories that are all gone', async () => {
    let told = 0;
    await measureDirectories([join(base, 'x'), join(base, 'y')], () => void told++);
    expect(told).toBe(0);
  });
});
