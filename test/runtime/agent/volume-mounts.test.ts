import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { Volume } from '../../../crds/types.generated.ts';
import { openIdentities } from '../../../runtime/agent/volumes/identities.ts';
import { createVolumeKeeper } from '../../../runtime/agent/volumes/keeper.ts';
import { mountLoopFile, unmountLoopFile } from '../../../runtime/disk/loop-file.ts';
import { openProjectIds } from '../../../runtime/disk/project-ids.ts';
import { openProjectQuota } from '../../../runtime/disk/project-quota.ts';
import { mountsBelow } from '../../../runtime/volumes/mounts.ts';
import { eventually } from '../launcher/harness.ts';

const canMount =
  process.getuid?.() === 0 && spawnSync('which', ['mkfs.ext4']).status === 0 && existsSync('/dev/loop-control');
const suite = canMount ? describe : describe.skip;

suite('the mount of a volume', () => {
  let base: string;
  const path = () => join(base, 'roles/*/data');
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'tepui-keeper-'));
    mkdirSync(path(), { recursive: true });
  });
  afterEach(async () => {
    await unmountLoopFile(path());
    rmSync(base, { recursive: true });
  });

  async function open({ isInUse = false } = {}) {
    const file = join(base, 'files/data.img');
    const identities = await openIdentities(join(base, 'identities'));
    const identity = { role: '*', persistenceId: 'data', namespace: 'default', volume: 'data', uid: '1' };
    await identities.claim({ ...identity, path: path(), file }, () => false);
    const owner = { uid: 0, gid: 0, mode: 0o755 };
    await mountLoopFile({ file, mountPoint: path(), sizeBytes: 8 * 2 ** 20, owner });
    const quota = openProjectQuota();
    return createVolumeKeeper({
      client: {} as never,
      agentName: 'a',
      root: base,
      dataDir: '/nowhere',
      disks: () => [],
      identities,
      quota,
      projectIds: await openProjectIds({ directory: join(base, 'ids'), instance: '0123456789ab', quota }),
      isInUse: () => isInUse,
      onExceeded: async () => {},
      onChange: () => {},
      logger: pino({ level: 'silent' }),
    });
  }
  const volume = {
    metadata: { namespace: 'default', name: 'data', uid: '1' },
    spec: { size: '8Mi', enforcement: 'File' },
    status: { state: 'Available', agentName: 'another' },
  } as Volume;

  test('goes when the Volume went while no agent was here', async () => {
    const keeper = await open();
    keeper.complete();
    await eventually(async () => (await mountsBelow(base)).length === 0, 'the unmounting');
    await keeper.close();
  });

  test('goes with a Volume that is deleted, and stays as long as a container has it', async () => {
    const keeper = await open();
    keeper.changed(volume);
    keeper.complete();
    await keeper.close();
    expect(await mountsBelow(base)).toHaveLength(1);

    const used = await open({ isInUse: true });
    used.complete();
    await used.close();
    expect(await mountsBelow(base)).toHaveLength(1);

    const next = await open();
    next.changed(volume);
    next.complete();
    next.deleted(volume);
    await eventually(async () => (await mountsBelow(base)).length === 0, 'the unmounting');
    await next.close();
  });
});
