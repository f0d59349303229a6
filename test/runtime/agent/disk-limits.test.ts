import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Task } from '../../../controllers/machinery/client/resources.ts';
import { cleanupAgent, type RunningAgent } from '../../../runtime/agent/index.ts';
import { mountsBelow } from '../../../runtime/volumes/mounts.ts';
import { SLOW } from '../../setup/slow.ts';
import { NAMESPACE, noContainers, type Platform, startPlatformWithAgent } from './support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;
const PROGRAM = new URL('support/agent-process.ts', import.meta.url).pathname;
const canLoop = spawnSync('which', ['mkfs.ext4']).status === 0 && existsSync('/dev/loop-control');
if (!canLoop) console.warn('limits by a file: skipped, they need mkfs.ext4 and loop devices');

suite('a limit on the disk of a sandbox', () => {
  let platform: Platform;
  let agent: RunningAgent | undefined;
  const processes: ChildProcess[] = [];
  beforeAll(async () => {
    ({ platform, agent } = await startPlatformWithAgent({ diskWatchIntervalSeconds: 0.2 }));
  }, 90_000);
  afterEach(() => Promise.all(processes.splice(0).map(kill)));
  afterAll(() => platform.close(), 60_000);

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await closed;
  }
  async function startProcess(): Promise<ChildProcess> {
    const { kubeconfig, dataDir, agentName, runtimeRoot } = platform;
    const child = spawn(process.execPath, [PROGRAM, kubeconfig, dataDir, agentName, runtimeRoot], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    processes.push(child);
    await new Promise<void>((done) => child.stdout!.on('data', (chunk) => String(chunk).includes('ready') && done()));
    return child;
  }
  const output = (sandbox: string | undefined, file = 'stdout') => readFileSync(join(sandbox ?? '', file), 'utf8');
  const limited = (disk: string, diskEnforcement?: string) => ({
    resources: { limits: { disk }, ...(diskEnforcement && { diskEnforcement }) } as never,
  });
  const loops = () =>
    execFileSync('losetup', ['-n', '-O', 'BACK-FILE'], { encoding: 'utf8' }).includes(platform.dataDir);
  const statistics = async (name: string) => {
    const { status } = (await platform.task(name))!;
    return status?.disk;
  };
  async function untilTrue(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    for (const deadline = Date.now() + 20_000 * SLOW; !(await condition()); await sleep(20)) {
      if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    }
  }

  test('by usage: a container above it is killed, and the status says why', async () => {
    await platform.createTask('usage', {
      shell: 'head -c 5000000 /dev/zero > x; sync; sleep 100',
      ...limited('2Mi', 'Usage'),
    });
    expect((await platform.untilEnded('usage')).status).toMatchObject({
      state: 'Failed',
      reason: 'ContainerLimitationDisk',
      message: expect.stringMatching(/^the sandbox takes [\d.]+Mi, more than the disk limit of 2Mi$/),
      limitation: { resource: 'disk' },
    });
  });

  test('a request is the limit where there is no other; below it nothing happens, and usage is in the status', async () => {
    await platform.createTask('below', {
      shell: 'head -c 2000000 /dev/zero > x; sync; while [ ! -e go ]; do sleep 0.05; done',
      resources: { requests: { disk: '4Mi' } },
    });
    const running = await platform.untilState('below', 'Running');
    await untilTrue(
      async () => (await statistics('below'))?.used !== undefined && (await statistics('below'))?.used !== '0',
      'usage',
    );
    expect(await statistics('below')).toEqual({ used: '2Mi', limit: '4Mi' });
    execFileSync('touch', [join(running.status!.sandboxPath!, 'go')]);
    expect((await platform.untilEnded('below')).status?.state).toBe('Finished');
  });

  (canLoop ? test : test.skip)(
    'by a file: writes stop at it, logs stay, and no mount or loop device does',
    async () => {
      await platform.createTask('file', {
        // The log of what is refused is on that disk too.
        shell:
          'df -B1 --output=size . | tail -1; why=$(head -c 20000000 /dev/zero 2>&1 > x); rm x; echo "$why" >&2; exit 3',
        ...limited('8Mi', 'File'),
        user: '1234',
      });
      const { status } = await platform.untilEnded('file');
      expect(status).toMatchObject({ state: 'Failed', exitCode: 3 });
      await untilTrue(async () => (await mountsBelow(platform.dataDir)).length === 0 && !loops(), 'nothing is mounted');
      const size = Number(output(status?.sandboxPath));
      expect(size).toBeGreaterThan(7 * 2 ** 20);
      expect(size).toBeLessThanOrEqual(8 * 2 ** 20);
      expect(output(status?.sandboxPath, 'stderr')).toContain('No space left on device');
      expect(
        readdirSync(status!.sandboxPath!)
          .filter((name) => !name.startsWith('.'))
          .sort(),
      ).toEqual(['stderr', 'stdout']);
      const files = join(platform.dataDir, 'agent/disk-files');
      expect(readdirSync(files)).toHaveLength(1);
      await platform.client.delete(Task, { namespace: NAMESPACE, name: 'file' });
      await platform.untilDeleted('file');
      await untilTrue(() => readdirSync(files).length === 0, 'the file goes with the sandbox');
    },
  );

  (canLoop ? test : test.skip)(
    'a file that is too small for a file system fails the launch and leaves nothing',
    async () => {
      await platform.createTask('tiny', { command: ['true'], ...limited('10Ki', 'File') });
      expect((await platform.untilEnded('tiny')).status).toMatchObject({
        reason: 'ContainerLaunchFailed',
        message: expect.stringContaining('too small'),
      });
      expect(await mountsBelow(platform.dataDir)).toEqual([]);
    },
  );

  test('a quota that the file system cannot keep is refused, with a way out', async () => {
    await platform.createTask('no-quota', { command: ['true'], ...limited('8Mi', 'Quota') });
    expect((await platform.untilEnded('no-quota')).status).toMatchObject({
      reason: 'ContainerLaunchFailed',
      message: expect.stringContaining('resources.diskEnforcement: "Quota" needs a file system with project quota'),
    });
  });

  (canLoop ? test : test.skip)(
    'goes on after the agent was killed; what ended meanwhile leaves nothing',
    async () => {
      await agent?.close();
      agent = undefined;
      const first = await startProcess();
      const shell = 'echo started; while [ ! -e go ]; do sleep 0.05; done; head -c 20000000 /dev/zero > x; echo ended';
      await platform.createTask('stays', { shell, ...limited('8Mi', 'File') });
      await platform.createTask('goes', { shell: 'echo bye; sleep 1000', ...limited('8Mi', 'File') });
      await platform.createTask('grows', {
        shell: 'while [ ! -e go ]; do sleep 0.05; done; head -c 9000000 /dev/zero > x; sync; sleep 1000',
        ...limited('2Mi', 'Usage'),
      });
      const sandboxes: Record<string, string> = {};
      for (const name of ['stays', 'goes', 'grows'])
        sandboxes[name] = (await platform.untilState(name, 'Running')).status!.sandboxPath!;
      await kill(first);
      await platform.kill('goes');
      agent = await platform.startAgent({ diskWatchIntervalSeconds: 0.2 });
      await agent.ready;
      await platform.untilEnded('goes');
      execFileSync('touch', [join(sandboxes.stays!, 'go'), join(sandboxes.grows!, 'go')]);
      expect((await platform.untilEnded('stays')).status).toMatchObject({ state: 'Finished' });
      expect((await platform.untilEnded('grows')).status).toMatchObject({ reason: 'ContainerLimitationDisk' });
      await untilTrue(async () => (await mountsBelow(platform.dataDir)).length === 0 && !loops(), 'nothing is mounted');
      expect(output(sandboxes.stays)).toBe('started\nended\n');
      expect(output(sandboxes.goes)).toBe('bye\n');
    },
    60_000,
  );

  (canLoop ? test : test.skip)('is taken down by the clean-up of the agent, and logs stay', async () => {
    await platform.createTask('down', { shell: 'echo up; sleep 1000', ...limited('8Mi', 'File') });
    const { status } = await platform.untilState('down', 'Running');
    await agent?.close();
    agent = undefined;
    await cleanupAgent(platform);
    expect(await mountsBelow(platform.dataDir)).toEqual([]);
    expect(loops()).toBe(false);
    expect(output(status?.sandboxPath)).toBe('up\n');
  });
});
