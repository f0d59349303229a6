import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test as run } from '@jest/globals';
import { openProjectIds } from '../../../runtime/disk/project-ids.ts';
import { openProjectQuota, type ProjectQuota, QuotaFailed } from '../../../runtime/disk/project-quota.ts';
import { buildLauncher } from '../../../runtime/launcher/build.ts';
import { quotaPlace, xfsQuotaPlace } from '../../setup/project-quota.ts';

const places = { ext4: await quotaPlace(), XFS: await xfsQuotaPlace() };
for (const place of Object.values(places))
  if (typeof place === 'string') console.warn(`project quota: skipped, ${place}`);
const MIB = 2 ** 20;
/** XFS says it as if the disk were full. */
const REFUSED = /Disk quota exceeded|No space left on device/;

describe.each(Object.entries(places))('project quota of %s', (_, place) => {
  const quota = openProjectQuota();
  const { directory: base, remove } = typeof place === 'string' ? { directory: '', remove: () => {} } : place;
  const test: typeof run = typeof place === 'string' ? (run.skip as typeof run) : run;
  const project = 1_900_000;
  afterAll(() => remove());
  /** What of `bytes` an ordinary user can write: root with CAP_SYS_RESOURCE is not held up by ext4. */
  const write = (path: string, bytes: number) =>
    spawnSync(
      'setpriv',
      [
        '--reuid=65534',
        '--clear-groups',
        'dd',
        'status=none',
        'if=/dev/zero',
        `of=${path}`,
        'bs=64k',
        `count=${bytes / 65536}`,
      ],
      {
        encoding: 'utf8',
      },
    ).stderr;
  const directoryOf = (name: string) => {
    const path = join(base, name);
    mkdirSync(path, { mode: 0o777 });
    execFileSync('chmod', ['777', base, path]);
    return path;
  };

  test('is found where it is', async () => {
    expect(await quota.isSupported(base)).toBe(true);
    expect(await quota.isSupported('/proc')).toBe(false);
  });

  test('refuses what is above the limit, in all directories below, and frees what is removed', async () => {
    const directory = directoryOf('limited');
    await quota.set(directory, project, 2 * MIB);
    execFileSync('mkdir', ['-m', '777', join(directory, 'sub')]);
    expect(write(join(directory, 'sub/a'), MIB)).toBe('');
    expect(write(join(directory, 'b'), 2 * MIB)).toMatch(REFUSED);
    const [full] = await quota.get(base, [project]);
    expect(full!.limitBytes).toBe(2 * MIB);
    expect(full!.usedBytes).toBeLessThanOrEqual(2 * MIB);
    expect(full!.usedBytes).toBeGreaterThan(1.8 * MIB);
    rmSync(join(directory, 'b'));
    expect((await quota.get(base, [project]))[0]!.usedBytes).toBeLessThan(1.2 * MIB);
    await quota.set(directory, project, 16 * MIB);
    expect(write(join(directory, 'b'), 4 * MIB)).toBe('');
    rmSync(directory, { recursive: true });
    await quota.clear(base, project);
    expect(await quota.get(base, [project])).toEqual([{ usedBytes: 0, limitBytes: 0 }]);
  });

  test('counts what was in the directory before, and nothing that a link leads to', async () => {
    const directory = directoryOf('taken-over');
    const outside = directoryOf('outside');
    writeFileSync(join(outside, 'big'), Buffer.alloc(8 * MIB));
    mkdirSync(join(directory, 'old/deep'), { recursive: true });
    writeFileSync(join(directory, 'old/deep/file'), Buffer.alloc(MIB));
    symlinkSync(outside, join(directory, 'link'));
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    await quota.set(directory, project + 1, 64 * MIB);
    const [usage] = await quota.get(base, [project + 1]);
    expect(usage!.usedBytes).toBeGreaterThanOrEqual(MIB);
    expect(usage!.usedBytes).toBeLessThan(2 * MIB);
    for (const path of [directory, outside]) rmSync(path, { recursive: true });
    await quota.clear(base, project + 1);
  });

  test('numbers are given out once, survive a restart, and never are ones that somebody else uses', async () => {
    const state = mkdtempSync(join(tmpdir(), 'tepui-ids-'));
    const open = () => openProjectIds({ directory: state, instance: '0123456789ab', quota });
    const ids = await open();
    const foreign = await ids.allocate('/a', base);
    await ids.release('/a');
    const other = directoryOf('foreign');
    await quota.set(other, foreign, MIB);
    const [first, second] = await Promise.all([ids.allocate('/a', base), ids.allocate('/b', base)]);
    expect(first).not.toBe(foreign);
    expect(second).not.toBe(first);
    const again = await open();
    expect(again.find('/b')).toBe(second);
    expect(await again.allocate('/a', base)).toBe(first);
    expect(await again.allocate('/c', base)).not.toBe(second);
    expect(again.list().sort()).toEqual(['/a', '/b', '/c']);
    rmSync(other, { recursive: true });
    await quota.clear(base, foreign);
    rmSync(state, { recursive: true });
  });
});

describe('without project quota', () => {
  let quota: ProjectQuota;
  let directory: string;
  beforeAll(() => {
    quota = openProjectQuota();
    directory = mkdtempSync('/dev/shm/tepui-quota-');
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  run('it is said, and nothing is changed', async () => {
    expect(await quota.isSupported(directory)).toBe(false);
    await expect(quota.set(directory, 5, MIB)).rejects.toThrow(QuotaFailed);
    await expect(quota.set(directory, 5, MIB)).rejects.toThrow('the file system has no project quota');
  });

  run.each([
    [['set', 'relative', '5', '1']],
    [['set', '/tmp', '0', '1']],
    [['set', '/tmp', '4294967295', '1']],
    [['set', '/tmp', '-5', '1']],
    [['set', '/tmp', '5', '1x']],
    [['set', '/tmp', '5']],
    [['get', '/tmp']],
    [['get', '/tmp', '5', 'x']],
    [['probe']],
    [['format', '/tmp']],
  ])('the launcher refuses %j', async (argv) => {
    const { status, stderr } = spawnSync(await buildLauncher(), ['quota', ...argv], { encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stderr).toMatch('usage:');
  });
});
