import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Secret, Task, Volume } from '../../../controllers/machinery/client/resources.ts';
import { mountsBelow } from '../../../runtime/volumes/mounts.ts';
import { SLOW } from '../../setup/slow.ts';
import { NAMESPACE, noContainers, type Platform, startPlatform } from './support/platform.ts';

const problem =
  noContainers() ??
  (spawnSync('which', ['mkfs.ext4']).status === 0 && existsSync('/dev/loop-control')
    ? undefined
    : 'needs mkfs.ext4 and loop devices');
if (problem) console.warn(`volumes of an agent that is killed: skipped, ${problem}`);
const suite = problem === undefined ? describe : describe.skip;
const PROGRAM = new URL('support/agent-process.ts', import.meta.url).pathname;
const ROUNDS = Number(process.env.TEPUI_CRASH_ROUNDS ?? 2);
const TASKS = 4;

suite('an agent that is killed while it mounts', () => {
  let platform: Platform;
  let current: ChildProcess | undefined;
  beforeAll(async () => {
    platform = await startPlatform();
    await platform.client.create(Secret, {
      metadata: { namespace: NAMESPACE, name: 'key' },
      data: { key: Buffer.from('secret').toString('base64') },
    } as never);
  }, 90_000);
  afterEach(() => kill(current));
  afterAll(() => platform.close(), 90_000);

  async function kill(child: ChildProcess | undefined): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await closed;
  }
  async function start(): Promise<ChildProcess> {
    const { kubeconfig, dataDir, agentName, runtimeRoot } = platform;
    current = spawn(process.execPath, [PROGRAM, kubeconfig, dataDir, agentName, runtimeRoot], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { stdout } = current;
    await new Promise<void>((done) => stdout!.on('data', (chunk) => String(chunk).includes('ready') && done()));
    return current;
  }
  async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    for (const deadline = Date.now() + 90_000 * SLOW; !(await condition()); await sleep(50)) {
      if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    }
  }
  const loops = () =>
    execFileSync('losetup', ['-n', '-O', 'BACK-FILE'], { encoding: 'utf8' }).includes(platform.dataDir);
  const listing = (...path: string[]) => {
    const directory = join(platform.dataDir, 'agent', ...path);
    return existsSync(directory) ? readdirSync(directory) : [];
  };

  test(`leaves nothing behind, at whatever moment it is (${ROUNDS} rounds)`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const first = await start();
      for (let index = 0; index < TASKS; index++) {
        const name = `r${round}-${index}`;
        await platform.client.create(Volume, {
          metadata: { namespace: NAMESPACE, name },
          spec: { size: '4Mi', enforcement: 'File', reclaimPolicy: 'Delete' },
        } as never);
        const status = { state: 'Bound', agentName: platform.agentName };
        await platform.client.mergePatch(Volume, { namespace: NAMESPACE, name }, { status }, 'status');
        await platform.createTask(
          name,
          {
            shell: 'cat /key/key > /data/x; echo y > /mem/y; sync; exit 0',
            resources: { limits: { disk: '4Mi' }, diskEnforcement: 'File' } as never,
            volumeMounts: [
              { name: 'data', mountPath: '/data' },
              { name: 'key', mountPath: '/key' },
              { name: 'mem', mountPath: '/mem' },
            ],
          },
          {
            volumes: [
              { name: 'data', volume: { volumeName: name } },
              { name: 'key', secret: { secretName: 'key' } },
              { name: 'mem', tmpfs: { sizeLimit: '1Mi' } },
            ],
          },
        );
      }
      // Spread over all that it does for them.
      await sleep(Math.random() * 1_500);
      await kill(first);
      await start();
      for (let index = 0; index < TASKS; index++) {
        const name = `r${round}-${index}`;
        await platform.until(
          name,
          ({ status }) => ['Finished', 'Failed', 'Dropped'].includes(status?.state ?? ''),
          90_000,
        );
        await platform.client.delete(Task, { namespace: NAMESPACE, name });
        await until(async () => (await platform.task(name)) === undefined, `task ${name} is gone`);
        const key = { namespace: NAMESPACE, name };
        await until(async () => {
          const volume = await platform.client.get(Volume, key);
          if (volume?.status?.state === 'Deleted') return true;
          await platform.client.mergePatch(Volume, key, { status: { state: 'Deleting' } }, 'status');
          return false;
        }, `data of ${name} is deleted`);
        await platform.client.delete(Volume, key);
      }
      const mounts = async () => [
        ...(await mountsBelow(platform.dataDir)),
        ...(await mountsBelow(platform.runtimeRoot)),
      ];
      await until(async () => (await mounts()).length === 0 && !loops(), 'nothing is mounted');
      await until(
        () => listing('disk-files').length === 0 && listing('meta', 'disk-limits').length === 0,
        'no limit is left',
      );
      expect(listing('meta', 'volumes')).toEqual([]);
      expect(listing('volumes', 'roles', '*')).toEqual([]);
      expect(listing('volumes', 'files', '*')).toEqual([]);
      await kill(current);
    }
  }, 600_000);
});
