import { execFileSync, spawnSync } from 'node:child_process';
import {
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
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Agent, Namespace, Task, Volume } from '../../../controllers/machinery/client/resources.ts';
import type { Volume as VolumeDocument, VolumeSpec } from '../../../crds/types.generated.ts';
import type { RunningAgent } from '../../../runtime/agent/index.ts';
import { mountsBelow } from '../../../runtime/volumes/mounts.ts';
import { SLOW } from '../../setup/slow.ts';
import { NAMESPACE, noContainers, type Platform, startPlatform } from './support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;
const canLoop = spawnSync('which', ['mkfs.ext4']).status === 0 && existsSync('/dev/loop-control');
if (!canLoop) console.warn('volumes in a file: skipped, they need mkfs.ext4 and loop devices');

suite('volumes on the disks of an agent', () => {
  let platform: Platform;
  let agent: RunningAgent;
  let disks: string;
  const other = `${NAMESPACE}-other`;
  beforeAll(async () => {
    disks = mkdtempSync(join(tmpdir(), 'tepui-disks-'));
    for (const name of ['path', 'mount', 'empty']) mkdirSync(join(disks, name));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tepui-test', join(disks, 'mount')]);
    platform = await startPlatform();
    await platform.client.create(Namespace, { metadata: { name: other } }).catch(() => {});
    agent = await platform.startAgent({ diskWatchIntervalSeconds: 0.2, heartbeatIntervalSeconds: 0.5 });
    await agent.ready;
    await platform.client.mergePatch(
      Agent,
      { name: platform.agentName },
      {
        spec: {
          disks: [
            { name: 'path', type: 'Path', path: join(disks, 'path'), size: '1Gi', profile: 'fast' },
            { name: 'mount', type: 'Mount', path: join(disks, 'mount') },
            { name: 'empty', type: 'Mount', path: join(disks, 'empty') },
            { name: 'inside', type: 'Path', path: platform.dataDir },
          ],
        },
      },
    );
  }, 90_000);
  afterAll(async () => {
    await platform.close();
    for (const { path } of (await mountsBelow(disks)).toReversed()) execFileSync('umount', [path]);
    rmSync(disks, { recursive: true, force: true });
  }, 60_000);

  async function until<T>(look: () => Promise<T | undefined | false>, what: string): Promise<T> {
    for (const deadline = Date.now() + 25_000 * SLOW; ; await sleep(20)) {
      const found = await look();
      if (found) return found;
      if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    }
  }
  const get = (name: string, namespace = NAMESPACE) => platform.client.get(Volume, { namespace, name });
  const status = async (name: string, namespace?: string) => (await get(name, namespace))?.status;
  const available = (name: string, namespace?: string) =>
    until(async () => {
      const found = await status(name, namespace);
      return found?.state === 'Available' && found;
    }, `volume ${name} is Available`);
  /** A Volume that the scheduler put on a disk of the agent. */
  async function create(name: string, spec: Partial<VolumeSpec>, diskName?: string, namespace = NAMESPACE) {
    const created = await platform.client.create(Volume, {
      metadata: { namespace, name },
      spec: { size: '4Mi', ...spec },
    } as VolumeDocument);
    const bound = { state: 'Bound', agentName: platform.agentName, ...(diskName && { diskName }) };
    await platform.client.mergePatch(Volume, { namespace, name }, { status: bound }, 'status');
    return created;
  }
  const mounting = (volumeName: string) => ({ volumes: [{ name: 'v', volume: { volumeName } }] });
  const at = { volumeMounts: [{ name: 'v', mountPath: '/data' }] };
  async function run(name: string, shell: string, volumeName: string, more = {}) {
    await platform.createTask(name, { shell, ...at, ...more }, mounting(volumeName));
    const ended = await platform.untilEnded(name);
    await platform.client.delete(Task, { namespace: NAMESPACE, name });
    return { status: ended.status, stdout: readFileSync(join(ended.status?.sandboxPath ?? '', 'stdout'), 'utf8') };
  }
  const deleting = (name: string, namespace = NAMESPACE) =>
    platform.client.mergePatch(Volume, { namespace, name }, { status: { state: 'Deleting' } }, 'status');
  const deleted = (name: string, namespace?: string) =>
    until(async () => (await status(name, namespace))?.state === 'Deleted', `data of ${name} is deleted`);

  test('are shown with sizes, what is promised of them, and why one cannot be used', async () => {
    const shown = await until(async () => {
      const found = (await platform.client.get(Agent, { name: platform.agentName }))?.status?.disks;
      return found?.length === 5 && found;
    }, 'disks in the status');
    expect(shown).toEqual([
      { name: 'root', capacity: expect.any(String), allocated: '0', quota: expect.any(Boolean) },
      { name: 'path', capacity: '1Gi', allocated: '0', quota: expect.any(Boolean) },
      { name: 'mount', capacity: '64Mi', allocated: '0', quota: false },
      { name: 'empty', allocated: '0', message: expect.stringMatching(/^nothing is mounted at /) },
      { name: 'inside', allocated: '0', message: expect.stringContaining('must not be in each other') },
    ]);
  });

  test("on a Path disk have Mesos's layout; nobody else reaches them", async () => {
    await create('on-path', { role: 'eng/dev', disk: { type: 'Path' } }, 'path');
    const { path, capacity } = await available('on-path');
    expect(path).toBe(join(disks, `path/roles/eng dev/${NAMESPACE}.on-path`));
    expect(capacity).toBe('4Mi');
    expect(statSync(join(disks, 'path/roles')).mode & 0o777).toBe(0o700);
    const { stdout } = await run('writes', 'echo kept > /data/x; stat -c %U /data', 'on-path', { user: 'nobody' });
    expect(stdout).toBe('nobody\n');
    expect(readFileSync(join(path!, 'x'), 'utf8')).toBe('kept\n');
    await until(async () => {
      const found = (await platform.client.get(Agent, { name: platform.agentName }))?.status?.disks;
      return found?.find(({ name }) => name === 'path')?.allocated === '4Mi';
    }, 'what is promised is in the status');
    await deleting('on-path');
    await deleted('on-path');
    expect(readdirSync(join(disks, 'path/roles/eng dev'))).toEqual([]);
  });

  test('on a Mount disk are its root directory, which stays when the data is deleted', async () => {
    writeFileSync(join(disks, 'mount/before'), 'was there');
    await create('on-mount', { disk: { type: 'Mount' } }, 'mount');
    expect(await available('on-mount')).toMatchObject({ path: join(disks, 'mount'), capacity: '64Mi' });
    const { stdout } = await run('reads', 'cat /data/before; mkdir -p /data/a/b; echo x > /data/a/b/c', 'on-mount', {
      user: 'root',
    });
    expect(stdout).toBe('was there');
    await deleting('on-mount');
    await deleted('on-mount');
    expect(readdirSync(join(disks, 'mount'))).toEqual([]);
    expect(await mountsBelow(disks)).toHaveLength(1);
    const { uid, mode } = statSync(join(disks, 'mount'));
    expect([uid, mode & 0o7777]).toEqual([0, 0o755]);
  });

  test('wait while nothing is mounted where their disk should be, and come when it is', async () => {
    await create('late', { disk: { type: 'Mount' } }, 'empty');
    await until(async () => (await status('late'))?.reason === 'DiskNotUsable', 'a word of the agent');
    expect(await status('late')).toMatchObject({
      state: 'Bound',
      message: expect.stringContaining('nothing is mounted at'),
    });
    expect(readdirSync(join(disks, 'empty'))).toEqual([]);
    execFileSync('mount', ['-t', 'tmpfs', 'tepui-test', join(disks, 'empty')]);
    await available('late');
    execFileSync('umount', [join(disks, 'empty')]);
    await platform.createTask('too-late', { shell: 'touch /data/x', ...at }, mounting('late'));
    expect((await platform.untilEnded('too-late')).status).toMatchObject({
      state: 'Failed',
      message: expect.stringContaining('nothing is mounted at'),
    });
    expect(readdirSync(join(disks, 'empty'))).toEqual([]);
  });

  test('belong to the namespace that made them: another one gets neither their data nor can it delete them', async () => {
    const mine = { persistenceId: 'precious', role: 'db' };
    await create('mine', mine);
    const { path } = await available('mine');
    writeFileSync(join(path!, 'data'), 'precious');
    await create('thief', { ...mine, reclaimPolicy: 'Delete' }, undefined, other);
    await until(async () => (await status('thief', other))?.reason === 'PersistenceIdTaken', 'the refusal');
    expect(await status('thief', other)).toMatchObject({
      state: 'Bound',
      message: `persistenceId "precious" of role "db" is data of namespace "${NAMESPACE}" on this agent; use another persistenceId`,
    });
    await deleting('thief', other);
    await deleted('thief', other);
    expect(readFileSync(join(path!, 'data'), 'utf8')).toBe('precious');
    await platform.client.delete(Volume, { namespace: other, name: 'thief' });

    await create('twin', mine);
    await until(async () => (await status('twin'))?.reason === 'PersistenceIdTaken', 'the refusal of a second Volume');
    expect((await status('twin'))?.message).toContain('is the data of Volume "mine"');
    await platform.client.delete(Volume, { namespace: NAMESPACE, name: 'twin' });

    // Retained: the data has no Volume any more, and still an owner.
    await platform.client.delete(Volume, { namespace: NAMESPACE, name: 'mine' });
    await until(async () => {
      const retained = (await platform.client.get(Agent, { name: platform.agentName }))?.status?.retainedVolumes;
      return retained?.some(({ persistenceId }) => persistenceId === 'precious');
    }, 'the data is published as retained');
    await create('thief', mine, undefined, other);
    await until(async () => (await status('thief', other))?.reason === 'PersistenceIdTaken', 'the refusal');
    await create('again', mine);
    expect((await available('again')).path).toBe(path);
    expect(readFileSync(join(path!, 'data'), 'utf8')).toBe('precious');
    await until(async () => {
      const retained = (await platform.client.get(Agent, { name: platform.agentName }))?.status?.retainedVolumes;
      return !retained?.some(({ persistenceId }) => persistenceId === 'precious');
    }, 'it is no longer published');
  }, 60_000);

  test('that are only measured end the task that lets them grow too large; one that tidies up goes on', async () => {
    await create('grows', { enforcement: 'Usage' });
    await available('grows');
    const { status: ended } = await run(
      'fills',
      'head -c 9000000 /dev/zero > /data/x; sync; while :; do head -c 400000 /dev/zero >> /data/x; sync; sleep 0.2; done',
      'grows',
    );
    expect(ended).toMatchObject({
      state: 'Failed',
      reason: 'ContainerLimitationDisk',
      message: expect.stringMatching(/^volume "grows" takes \S+ bytes, more than its size of 4Mi$/),
    });
    const { stdout } = await run('tidies', 'sleep 1; rm /data/x; echo tidy', 'grows');
    expect(stdout).toBe('tidy\n');
    await until(async () => (await status('grows'))?.used !== undefined, 'usage in the status');
  }, 60_000);

  (canLoop ? test : test.skip)(
    'in a file have their size, keep data between tasks, grow, and leave no mount',
    async () => {
      await create('filed', { enforcement: 'File', size: '8Mi' });
      const { path } = await available('filed');
      const size = 'df -B1 --output=size /data | tail -1';
      const first = await run(
        'first',
        `${size}; echo kept > /data/x; head -c 20000000 /dev/zero > /data/big; rm /data/big; sync`,
        'filed',
      );
      expect(first.status?.state).toBe('Finished');
      expect(Number(first.stdout)).toBeLessThanOrEqual(8 * 2 ** 20);
      const loops = async () =>
        (await mountsBelow(platform.dataDir)).filter(({ source }) => source.startsWith('/dev/loop'));
      await until(async () => (await loops()).length === 0, 'nothing is mounted between tasks');
      expect(readdirSync(path!)).toEqual([]);
      await platform.client.mergePatch(Volume, { namespace: NAMESPACE, name: 'filed' }, { spec: { size: '24Mi' } });
      await until(async () => (await status('filed'))?.capacity === '24Mi', 'the larger size');
      const second = await run('second', `${size}; cat /data/x`, 'filed');
      expect(second.stdout).toMatch(/kept\n$/);
      expect(Number.parseInt(second.stdout, 10)).toBeGreaterThan(16 * 2 ** 20);
      await platform.client.mergePatch(Volume, { namespace: NAMESPACE, name: 'filed' }, { spec: { size: '8Mi' } });
      await until(async () => (await status('filed'))?.reason === 'EnforcementImpossible', 'a smaller size is refused');
      await deleting('filed');
      await deleted('filed');
      expect(existsSync(path!)).toBe(false);
      await until(async () => (await loops()).length === 0, 'nothing is left mounted');
    },
    60_000,
  );

  test('ask for a quota in vain where there is none, and are told the way out', async () => {
    const shown = (await platform.client.get(Agent, { name: platform.agentName }))?.status?.disks;
    if (shown?.find(({ name }) => name === 'root')?.quota) return;
    await create('quota', { enforcement: 'Quota' });
    await until(async () => (await status('quota'))?.reason === 'EnforcementImpossible', 'the refusal');
    expect((await status('quota'))?.message).toContain('use File or Usage');
  });
});
