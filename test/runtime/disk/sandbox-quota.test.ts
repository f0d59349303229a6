import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { Volume } from '../../../crds/types.generated.ts';
import { type DiskLimits, openDiskLimits } from '../../../runtime/agent/disk-limits/disk-limits.ts';
import { inspectDisks } from '../../../runtime/agent/volumes/disks.ts';
import { openIdentities } from '../../../runtime/agent/volumes/identities.ts';
import { provide, remove as removeVolume, resize } from '../../../runtime/agent/volumes/steps.ts';
import { openProjectIds } from '../../../runtime/disk/project-ids.ts';
import { openProjectQuota } from '../../../runtime/disk/project-quota.ts';
import { quotaPlace } from '../../setup/project-quota.ts';
import { SLOW } from '../../setup/slow.ts';

const place = await quotaPlace();
if (typeof place === 'string') console.warn(`sandboxes with a quota: skipped, ${place}`);
const suite = typeof place === 'string' ? describe.skip : describe;
const MIB = 2 ** 20;

suite('a sandbox with a quota', () => {
  // Skipped tests are collected all the same.
  const { directory: base, remove } = typeof place === 'string' ? { directory: '', remove: () => {} } : place;
  const sandboxes = join(base, 'sandboxes');
  const killed: string[] = [];
  let limits: DiskLimits;
  const open = async () => {
    const quota = openProjectQuota();
    return openDiskLimits({
      stateDirectory: join(base, 'limits'),
      filesDirectory: join(base, 'files'),
      sandboxRoot: sandboxes,
      quota,
      projectIds: await openProjectIds({ directory: join(base, 'ids'), instance: '0123456789ab', quota }),
      intervalMs: 200,
      kill: async (containerId) => void killed.push(containerId),
      logger: pino({ level: 'silent' }),
    });
  };
  beforeAll(async () => {
    mkdirSync(sandboxes);
    execFileSync('chmod', ['755', base, sandboxes]);
    limits = await open();
  });
  afterAll(async () => {
    await limits.close();
    remove();
  });
  const prepare = async (name: string) => {
    const sandbox = join(sandboxes, name);
    mkdirSync(sandbox, { recursive: true });
    execFileSync('chmod', ['777', sandbox]);
    await limits.prepare({
      containerId: name,
      sandbox,
      owner: { uid: 65534, gid: 65534 },
      limitBytes: 2 * MIB,
      enforcement: 'Auto',
    });
    return sandbox;
  };
  const asNobody = (...argv: string[]) =>
    spawnSync('setpriv', ['--reuid=65534', '--clear-groups', ...argv], { encoding: 'utf8' }).stderr;
  const fill = (file: string, mib: number) =>
    asNobody('dd', 'if=/dev/zero', `of=${file}`, 'bs=64k', `count=${mib * 16}`);
  async function untilTrue(condition: () => boolean): Promise<void> {
    for (const deadline = Date.now() + 60_000 * SLOW; !condition(); await new Promise((done) => setTimeout(done, 50)))
      if (Date.now() > deadline) throw new Error('waited in vain');
  }

  test('refuses what is above it, tells its usage, and kills nobody', async () => {
    const sandbox = await prepare('full');
    expect(fill(join(sandbox, 'x'), 4)).toMatch('Disk quota exceeded');
    await untilTrue(() => (limits.usage('full')?.usedBytes ?? 0) > 1.8 * MIB);
    expect(limits.usage('full')?.limitBytes).toBe(2 * MIB);
    expect(killed).toEqual([]);
    expect(limits.limitation('full')).toBeUndefined();
  });

  test('has a number of its own, also for an agent that comes back, and gives it back when it is removed', async () => {
    await prepare('other');
    expect(await limits.onProjectQuota([])).toBe(true);
    expect(new Set(readdirSync(join(base, 'ids'))).size).toBe(2);
    await limits.close();
    limits = await open();
    await limits.recover(['other']);
    expect(fill(join(sandboxes, 'full/y'), 1)).toMatch('Disk quota exceeded');
    const sandbox = await prepare('other');
    expect(fill(join(sandbox, 'x'), 1)).not.toMatch('quota');
    for (const name of ['full', 'other']) {
      await limits.releasing(join(sandboxes, name));
      rmSync(join(sandboxes, name), { recursive: true });
      await limits.released(join(sandboxes, name));
    }
    expect(readdirSync(join(base, 'ids'))).toEqual([]);
    expect(readdirSync(join(base, 'limits'))).toEqual([]);
  });

  test('of a removal that was cut short is given back at the next start', async () => {
    await prepare('cut');
    await limits.close();
    rmSync(join(sandboxes, 'cut'), { recursive: true });
    limits = await open();
    await limits.recover([]);
    expect(readdirSync(join(base, 'ids'))).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(sandboxes);
  });

  test('ends a container whose user takes files out of the quota', async () => {
    const sandbox = await prepare('escapes');
    // Outside of a user namespace the owner of a directory may do that.
    mkdirSync(join(sandbox, 'out'));
    execFileSync('chown', ['65534', join(sandbox, 'out')]);
    const chattr = asNobody('chattr', '-p', '0', join(sandbox, 'out'));
    const inherit = asNobody('chattr', '-P', join(sandbox, 'out'));
    expect([chattr, inherit]).toEqual(['', '']);
    expect(fill(join(sandbox, 'out/x'), 8)).not.toMatch('quota');
    await untilTrue(() => killed.includes('escapes'));
    expect(limits.limitation('escapes')?.reason).toBe('ContainerLimitationDisk');
    await limits.releasing(sandbox);
    rmSync(sandbox, { recursive: true });
    await limits.released(sandbox);
  });

  test('is what a persistent volume has too, and follows its size', async () => {
    const quota = openProjectQuota();
    const projectIds = await openProjectIds({ directory: join(base, 'volume-ids'), instance: 'abcdef012345', quota });
    const identities = await openIdentities(join(base, 'identities'));
    const volumes = join(base, 'volumes');
    mkdirSync(volumes, { mode: 0o755 });
    const parts = async () => ({
      quota,
      projectIds,
      identities,
      isLiving: () => true,
      disks: await inspectDisks([], { root: volumes, dataDir: '/nowhere' }, quota),
    });
    const volume = {
      metadata: { namespace: 'default', name: 'v', uid: 'u' },
      spec: { size: '2Mi', owner: { user: '65534' } },
      status: { state: 'Bound', agentName: 'a' },
    } as Volume;
    const { path, capacity } = await provide(volume, await parts());
    expect(capacity).toBe('2Mi');
    const write = () => {
      const file = spawnSync('dd', ['if=/dev/zero', `of=${path}/x`, 'bs=64k', 'count=64'], {
        encoding: 'utf8',
        uid: 65534,
        gid: 65534,
        cwd: '/',
      });
      return file.stderr;
    };
    execFileSync('chmod', ['755', join(volumes, 'roles'), join(volumes, 'roles/*')]);
    expect(write()).toMatch('Disk quota exceeded');
    volume.spec.size = '16Mi';
    expect(await resize(volume, await parts())).toEqual({ capacity: '16Mi' });
    expect(write()).not.toMatch('quota');
    await removeVolume(volume, await parts());
    expect(readdirSync(join(base, 'volume-ids'))).toEqual([]);
    expect(readdirSync(join(base, 'identities'))).toEqual([]);
  });
});
