import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Volume } from '../../../crds/types.generated.ts';
import type { Disk } from '../../../runtime/agent/volumes/disks.ts';
import { type Identities, openIdentities } from '../../../runtime/agent/volumes/identities.ts';
import { provide, remove, resize, type StepParts } from '../../../runtime/agent/volumes/steps.ts';
import { attachVolume } from '../../../runtime/agent/volumes/volume-limit.ts';
import { growLoopFile, loopFileUsage, unmountLoopFile } from '../../../runtime/disk/loop-file.ts';
import { openProjectIds } from '../../../runtime/disk/project-ids.ts';
import { openProjectQuota } from '../../../runtime/disk/project-quota.ts';

const MIB = 2 ** 20;
const isRoot = process.getuid?.() === 0;
const canMount = isRoot && spawnSync('which', ['mkfs.ext4']).status === 0 && existsSync('/dev/loop-control');
if (!canMount) console.warn('volumes after a kill: some are skipped, they need root, mkfs.ext4 and loop devices');

describe('a volume whose agent was killed', () => {
  let base: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'tepui-volumes-'));
  });
  afterEach(() => rmSync(base, { recursive: true }));
  const volumeOf = (spec: object) =>
    ({
      metadata: { namespace: 'default', name: 'data', uid: '1' },
      spec,
      status: { state: 'Bound', agentName: 'a', ...('disk' in spec && { diskName: 'mount' }) },
    }) as Volume;
  const partsOn = async (disk: Disk, identities?: Identities): Promise<StepParts> => {
    const quota = openProjectQuota();
    return {
      quota,
      projectIds: await openProjectIds({ directory: join(base, 'ids'), instance: '0123456789ab', quota }),
      identities: identities ?? (await openIdentities(join(base, 'identities'))),
      disks: [disk],
      isLiving: () => true,
    };
  };
  const root = (): Disk => ({ type: 'Root', path: join(base, 'disk') });
  const fileOf = ({ path }: Disk) => join(path, 'files/*/default.data.img');

  test('while its file was made: the space goes with the volume', async () => {
    const volume = volumeOf({ size: '8Mi', enforcement: 'File' });
    const parts = await partsOn(root());
    await provide(volume, parts);
    const unfinished = `${fileOf(root())}.making`;
    mkdirSync(join(unfinished, '..'), { recursive: true });
    writeFileSync(unfinished, '');
    await remove(volume, parts);
    expect(existsSync(unfinished)).toBe(false);
  });

  (isRoot ? test : test.skip)('before a Mount disk was given to its owner: it is his all the same', async () => {
    const disk: Disk = { name: 'mount', type: 'Mount', path: join(base, 'mount') };
    mkdirSync(disk.path);
    execFileSync('mount', ['-t', 'tmpfs', 'tepui-test', disk.path]);
    try {
      const volume = volumeOf({ size: '8Mi', disk: { type: 'Mount' }, owner: { user: '1234', mode: '0750' } });
      const identities = await openIdentities(join(base, 'identities'));
      const killed = {
        ...identities,
        async claim(...args: Parameters<Identities['claim']>) {
          await identities.claim(...args);
          throw new Error('killed');
        },
      };
      await expect(provide(volume, await partsOn(disk, killed))).rejects.toThrow('killed');
      await provide(volume, await partsOn(disk));
      const { uid, mode } = statSync(disk.path);
      expect([uid, mode & 0o777]).toEqual([1234, 0o750]);
      // From then on it is as its user has it.
      execFileSync('chmod', ['700', disk.path]);
      await provide(volume, await partsOn(disk));
      expect(statSync(disk.path).mode & 0o777).toBe(0o700);
    } finally {
      execFileSync('umount', [disk.path]);
    }
  });

  (canMount ? test : test.skip)('when only its file had grown: its file system grows, too', async () => {
    const volume = volumeOf({ size: '8Mi', enforcement: 'File' });
    const parts = await partsOn(root());
    const { path } = await provide(volume, parts);
    const place = { disk: root(), role: '*', persistenceId: 'default.data', path, file: fileOf(root()) };
    await attachVolume(volume, place, { uid: 0, gid: 0, mode: 0o755 });
    await unmountLoopFile(path);
    truncateSync(place.file, 32 * MIB);
    volume.spec.size = '32Mi';
    expect(await resize(volume, parts)).toEqual({ capacity: '32Mi' });
    await attachVolume(volume, place, { uid: 0, gid: 0, mode: 0o755 });
    try {
      expect((await loopFileUsage(path)).sizeBytes).toBeGreaterThan(28 * MIB);
    } finally {
      await unmountLoopFile(path);
    }
  });

  (canMount ? test : test.skip)('while a tool works on its file: the next agent waits for it', async () => {
    const file = join(base, 'image');
    writeFileSync(file, '');
    truncateSync(file, 8 * MIB);
    execFileSync('mkfs.ext4', ['-q', '-F', file]);
    const tool = spawn('flock', [file, 'sh', '-c', 'echo working; sleep 1; echo done'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    tool.stdout.on('data', (text) => {
      said += text;
    });
    await new Promise((resolve) => tool.stdout.once('data', resolve));
    await growLoopFile({ file, mountPoint: base, sizeBytes: 16 * MIB });
    expect(said).toBe('working\ndone\n');
  });
});
