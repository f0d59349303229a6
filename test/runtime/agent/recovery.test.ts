import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Agent, Lease, Task } from '../../../controllers/machinery/client/resources.ts';
import { AgentAlreadyRunning, cleanupAgent, startAgent } from '../../../runtime/agent/index.ts';
import { openContainerizer } from '../../../runtime/agent/node/containerizer.ts';
import { preparePaths } from '../../../runtime/agent/node/paths.ts';
import { detectCgroups } from '../../../runtime/cgroups/detect.ts';
import type { Containerizer } from '../../../runtime/containerizers/containerizer.ts';
import { NAMESPACE, noContainers, type Platform, startPlatform } from './support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;
// Where containers are frozen; cgroup v1 alone has another file.
const unified = noContainers() === undefined ? detectCgroups().unified : undefined;
const PROGRAM = new URL('support/agent-process.ts', import.meta.url).pathname;

suite('an agent that ends and comes back', () => {
  let platform: Platform;
  let processes: ChildProcess[] = [];
  beforeEach(async () => {
    platform = await startPlatform();
  }, 60_000);
  afterEach(async () => {
    for (const child of processes) await end(child, 'SIGKILL');
    processes = [];
    await platform.close();
  }, 60_000);

  async function startProcess(): Promise<ChildProcess> {
    const { kubeconfig, dataDir, agentName, runtimeRoot } = platform;
    const child = spawn(process.execPath, [PROGRAM, kubeconfig, dataDir, agentName, runtimeRoot], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    processes.push(child);
    return child;
  }
  const whenReady = (child: ChildProcess) =>
    new Promise<void>((resolve) => child.stdout!.on('data', (chunk) => String(chunk).includes('ready') && resolve()));
  async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await closed;
  }
  const stdoutOf = (sandbox: string | undefined) => readFileSync(join(sandbox ?? '', 'stdout'), 'utf8');

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'after %s its tasks go on, are taken back, and their exit codes are learnt',
    async (signal) => {
      const first = await startProcess();
      await whenReady(first);
      await platform.createTask('stays', { shell: 'echo started; trap "exit 0" TERM; while :; do sleep 0.05; done' });
      await platform.createTask('ends', { shell: 'while [ ! -e go ]; do sleep 0.05; done; exit 42' });
      const stays = await platform.untilState('stays', 'Running');
      const ends = await platform.untilState('ends', 'Running');
      await end(first, signal);
      const pid = stays.status!.containers![0]!.pid!;
      expect(existsSync(`/proc/${pid}`)).toBe(true);
      writeFileSync(join(ends.status!.sandboxPath!, 'go'), '');
      await platform.createTask('meanwhile', { shell: 'exit 0' });
      await sleep(300);
      expect((await platform.task('ends'))?.status?.state).toBe('Running');

      const second = await startProcess();
      await whenReady(second);
      expect((await platform.untilEnded('ends')).status).toMatchObject({
        state: 'Failed',
        exitCode: 42,
        containerId: ends.status!.containerId,
      });
      expect((await platform.untilEnded('meanwhile')).status).toMatchObject({ state: 'Finished' });
      const after = await platform.task('stays');
      expect(after?.status).toMatchObject({ state: 'Running', containerId: stays.status!.containerId });
      expect(stdoutOf(after?.status?.sandboxPath)).toBe('started\n');
      await platform.kill('stays');
      expect((await platform.untilEnded('stays')).status).toMatchObject({ state: 'Killed' });
    },
    60_000,
  );

  test('deletions and kills that were asked for while it was down are done when it is back', async () => {
    const first = await startProcess();
    await whenReady(first);
    for (const name of ['killed', 'deleted']) await platform.createTask(name, { command: ['sleep', '1000'] });
    await platform.untilState('killed', 'Running');
    await platform.untilState('deleted', 'Running');
    await end(first, 'SIGKILL');
    await platform.kill('killed');
    await platform.client.delete(Task, { namespace: NAMESPACE, name: 'deleted' });
    const agent = await platform.startAgent();
    expect((await platform.untilEnded('killed')).status).toMatchObject({ state: 'Killed' });
    await platform.untilDeleted('deleted');
    await agent.close();
  }, 60_000);

  (unified === undefined ? test.skip : test)(
    'a container that it was freezing, or resuming, when it was killed is as its record has it',
    async () => {
      const first = await platform.startAgent();
      await first.ready;
      for (const name of ['runs', 'stands']) await platform.createTask(name, { command: ['sleep', '1000'] });
      const runs = await platform.untilState('runs', 'Running');
      await platform.untilState('stands', 'Running');
      await platform.client.mergePatch(
        Task,
        { namespace: NAMESPACE, name: 'stands' },
        { spec: { desiredState: 'Frozen' } },
      );
      const stands = await platform.until('stands', ({ status }) => status?.containers?.[0]?.reason === 'Frozen');
      const freezeFile = ({ status }: typeof runs) => {
        const pid = status!.containers![0]!.pid!;
        const path = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))![1];
        return join(unified!, path!, 'cgroup.freeze');
      };
      await first.close();
      writeFileSync(freezeFile(runs), '1');
      writeFileSync(freezeFile(stands), '0');
      const second = await platform.startAgent();
      expect([runs, stands].map((task) => readFileSync(freezeFile(task), 'utf8').trim())).toEqual(['0', '1']);
      await second.close();
    },
    60_000,
  );

  test('after a restart of the machine its tasks are Gone, and those that had ended before keep their exit code', async () => {
    const first = await platform.startAgent();
    await first.ready;
    await platform.createTask('lost', { command: ['sleep', '1000'] });
    await platform.createTask('ended', { shell: 'while [ ! -e go ]; do sleep 0.05; done; exit 5' });
    const lost = await platform.untilState('lost', 'Running');
    const ended = await platform.untilState('ended', 'Running');
    await first.close();
    writeFileSync(join(ended.status!.sandboxPath!, 'go'), '');
    await sleep(300);
    const second = await platform.startAgent({ bootId: 'another-boot' });
    expect((await platform.untilEnded('lost')).status).toMatchObject({ state: 'Gone', reason: 'AgentRestarted' });
    expect((await platform.untilEnded('ended')).status).toMatchObject({ state: 'Failed', exitCode: 5 });
    expect(existsSync(`/proc/${lost.status!.containers![0]!.pid}`)).toBe(false);
    await second.close();
  }, 60_000);

  test('while the API server is away tasks go on and end; everything is told when it is back', async () => {
    const agent = await platform.startAgent();
    await agent.ready;
    await platform.createTask('quick', { shell: 'while [ ! -e go ]; do sleep 0.05; done; exit 9' });
    await platform.createTask('limited', { command: ['sleep', '1000'] }, { maxCompletionTimeSeconds: 2 });
    const quick = await platform.untilState('quick', 'Running');
    await platform.untilState('limited', 'Running');
    await platform.stopServer();
    writeFileSync(join(quick.status!.sandboxPath!, 'go'), '');
    await sleep(2500);
    await platform.startServer();
    expect((await platform.untilEnded('quick')).status).toMatchObject({ state: 'Failed', exitCode: 9 });
    const limited = await platform.untilEnded('limited');
    expect(limited.status).toMatchObject({ state: 'Failed', reason: 'MaxCompletionTimeReached' });
    expect(limited.status?.history?.map(({ state }) => state)).toEqual(['Starting', 'Running', 'Killing', 'Failed']);
    await agent.close();
  }, 60_000);

  test('an agent that starts while the API server is away takes its tasks back and tells how they ended later', async () => {
    const first = await platform.startAgent();
    await first.ready;
    await platform.createTask('alone', { shell: 'while [ ! -e go ]; do sleep 0.05; done; exit 4' });
    const { status } = await platform.untilState('alone', 'Running');
    await first.close();
    await platform.stopServer();
    const second = await platform.startAgent();
    writeFileSync(join(status!.sandboxPath!, 'go'), '');
    await sleep(500);
    await platform.startServer();
    expect((await platform.untilEnded('alone')).status).toMatchObject({ state: 'Failed', exitCode: 4 });
    await second.close();
  }, 60_000);

  test('kill -9 at random moments: no task runs twice, no exit code is lost, nothing is left', async () => {
    const rounds = Number(process.env.TEPUI_CRASH_ROUNDS ?? 12);
    const names = Array.from({ length: rounds * 2 }, (_, index) => `crash-${index}`);
    const code = (index: number) => index % 4;
    const create = (index: number) =>
      platform.createTask(names[index]!, {
        shell: `echo ran; sleep 0.${index % 10}; echo done; exit ${code(index)}`,
      });
    for (let round = 0; round < rounds; round += 1) {
      const child = await startProcess();
      // Now in its start-up, now in the middle of launches.
      if (round % 2 === 1) await whenReady(child);
      const creating = [create(2 * round), sleep(Math.random() * 50).then(() => create(2 * round + 1))];
      await sleep(Math.random() * (round % 2 === 1 ? 100 : 1200));
      await end(child, 'SIGKILL');
      await Promise.all(creating);
    }
    const last = await startProcess();
    await whenReady(last);
    for (const [index, name] of names.entries()) {
      const { status } = await platform.untilEnded(name);
      const runs = join(platform.dataDir, `agent/sandboxes/${NAMESPACE}/${name}/runs`);
      const outputs = (existsSync(runs) ? readdirSync(runs) : []).map((run) =>
        existsSync(join(runs, run, 'stdout')) ? readFileSync(join(runs, run, 'stdout'), 'utf8') : '',
      );
      const ran = outputs
        .join('')
        .split('\n')
        .filter((line) => line === 'ran').length;
      expect([name, ran <= 1]).toEqual([name, true]);
      if (status?.state === 'Dropped') {
        // Cut in its launch: said so, and not started again.
        expect(status.reason).toBe('AgentRestarted');
      } else {
        expect([name, status?.exitCode, outputs.join('')]).toEqual([name, code(index), 'ran\ndone\n']);
      }
    }
    for (const name of names) await platform.client.delete(Task, { namespace: NAMESPACE, name });
    for (const name of names) await platform.untilDeleted(name);
    await end(last, 'SIGTERM');
    expect(readdirSync(join(platform.dataDir, 'agent/containers'))).toEqual([]);
    expect(readdirSync(join(platform.dataDir, 'agent/meta/tasks'))).toEqual([]);
  }, 180_000);

  test('a clean-up that is killed while a task ends leaves its reason: the next agent tells it', async () => {
    const agent = await platform.startAgent();
    await agent.ready;
    await platform.createTask('half', { shell: 'trap "exit 0" TERM; while :; do sleep 0.05; done' });
    await platform.untilState('half', 'Running');
    await sleep(100);
    await agent.close();
    const { dataDir, runtimeRoot, logger } = platform;
    const native = await openContainerizer(await preparePaths(dataDir, runtimeRoot), logger);
    const containerizer: Containerizer = {
      ...native,
      async signal(...args) {
        await native.signal(...args);
        throw new Error('killed');
      },
    };
    await expect(cleanupAgent({ dataDir, runtimeRoot, logger, containerizer })).rejects.toThrow('killed');
    await native.close();
    const next = await platform.startAgent();
    expect((await platform.untilEnded('half')).status).toMatchObject({
      state: 'Killed',
      message: expect.stringContaining('clean-up'),
    });
    await next.close();
  }, 60_000);

  test('a clean-up ends every task by its kill policy and leaves nothing on the machine; the next agent tells how they ended', async () => {
    const agent = await platform.startAgent();
    await agent.ready;
    await platform.createTask(
      'polite',
      { shell: 'trap "echo bye; exit 7" TERM; while :; do sleep 0.05; done' },
      { killPolicy: { gracePeriodSeconds: 5 } },
    );
    await platform.createTask(
      'stubborn',
      { shell: 'trap "" TERM; while :; do sleep 0.05; done' },
      { killPolicy: { gracePeriodSeconds: 0.3 } },
    );
    const polite = await platform.untilState('polite', 'Running');
    const stubborn = await platform.untilState('stubborn', 'Running');
    await sleep(100);
    const { dataDir, runtimeRoot, logger } = platform;
    await expect(cleanupAgent({ dataDir, runtimeRoot, logger })).rejects.toThrow(AgentAlreadyRunning);
    await agent.close();
    expect(await cleanupAgent({ dataDir, runtimeRoot, logger })).toEqual({ ended: 2 });
    for (const task of [polite, stubborn]) expect(existsSync(`/proc/${task.status!.containers![0]!.pid}`)).toBe(false);
    expect(stdoutOf(polite.status?.sandboxPath)).toBe('bye\n');
    expect(readdirSync(runtimeRoot)).toEqual([]);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(dataDir);
    const next = await platform.startAgent();
    expect((await platform.untilEnded('polite')).status).toMatchObject({
      state: 'Killed',
      exitCode: 7,
      message: expect.stringContaining('clean-up'),
    });
    expect((await platform.untilEnded('stubborn')).status).toMatchObject({ state: 'Killed', signal: 9 });
    await next.close();
  }, 60_000);

  test('a task whose record was lost with the data directory is Gone, never started again', async () => {
    const agent = await platform.startAgent();
    await agent.ready;
    await platform.createTask('foreign', { shell: 'echo ran' }, { binding: { agentName: 'nobody-yet' } });
    await platform.client.mergePatch(
      Task,
      { namespace: NAMESPACE, name: 'foreign' },
      { status: { state: 'Running', containerId: 'elsewhere' } },
      'status',
    );
    await agent.close();
    const { client, dataDir, runtimeRoot, logger } = platform;
    const other = await startAgent({
      client,
      dataDir: `${dataDir}-2`,
      name: 'nobody-yet',
      logger,
      options: { runtimeRoot },
    });
    expect((await platform.untilEnded('foreign')).status).toMatchObject({ state: 'Gone', reason: 'AgentRestarted' });
    await other.close();
    await cleanupAgent({ dataDir: `${dataDir}-2`, runtimeRoot, logger });
  }, 60_000);
});

suite('the name of an agent', () => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await startPlatform();
  }, 60_000);
  afterAll(() => platform.close(), 30_000);

  test('belongs to one data directory while its lease is fresh; then another may take it, and its lease says so', async () => {
    const first = await platform.startAgent({ heartbeatIntervalSeconds: 1, leaseDurationSeconds: 3 });
    await first.ready;
    const key = { namespace: 'tepui-agent-leases', name: platform.agentName };
    const before = await platform.client.get(Lease, key);
    expect(before?.spec).toMatchObject({
      holderIdentity: `${platform.agentName}_${first.agentId}`,
      leaseDurationSeconds: 3,
    });
    const { client, dataDir, runtimeRoot, logger } = platform;
    const second = await startAgent({
      client,
      dataDir: `${dataDir}-2`,
      name: platform.agentName,
      logger,
      options: { runtimeRoot },
    });
    await sleep(1500);
    expect(platform.logged()).toContain('is held by');
    const renewed = await platform.client.get(Lease, key);
    expect(Date.parse(renewed?.spec?.renewTime ?? '')).toBeGreaterThan(Date.parse(before?.spec?.renewTime ?? ''));
    expect((await client.get(Agent, { name: platform.agentName }))?.status?.agentId).toBe(first.agentId);
    await first.close();
    await second.ready;
    expect((await client.get(Agent, { name: platform.agentName }))?.status?.agentId).toBe(second.agentId);
    await second.close();
    await cleanupAgent({ dataDir: `${dataDir}-2`, runtimeRoot, logger });
  }, 60_000);

  test('stays with the data directory', async () => {
    const { client, dataDir, runtimeRoot, logger } = platform;
    await expect(startAgent({ client, dataDir, name: 'other', logger, options: { runtimeRoot } })).rejects.toThrow(
      `belongs to agent "${platform.agentName}"`,
    );
    await expect(
      startAgent({ client, dataDir: `${dataDir}-3`, name: 'Not_A_Name', logger, options: { runtimeRoot } }),
    ).rejects.toThrow('lower-case');
  });
});
