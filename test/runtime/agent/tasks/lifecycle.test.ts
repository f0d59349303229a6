import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Agent, Secret, Task, Volume } from '../../../../controllers/machinery/client/resources.ts';
import type { RunningAgent } from '../../../../runtime/agent/index.ts';
import { NAMESPACE, noContainers, type Platform, startPlatformWithAgent } from '../support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;

suite('an agent with real containers', () => {
  let platform: Platform;
  let agent: RunningAgent;
  beforeAll(async () => {
    ({ platform, agent } = await startPlatformWithAgent());
  }, 90_000);
  afterAll(() => platform.close(), 30_000);
  const output = (sandbox: string | undefined, file = 'stdout') => readFileSync(join(sandbox ?? '', file), 'utf8');

  test('registers with what the machine has', async () => {
    const document = await platform.client.get(Agent, { name: platform.agentName });
    expect(document?.status).toMatchObject({
      agentId: agent.agentId,
      capabilities: expect.arrayContaining(['MultiRole']),
    });
    expect(document?.status?.conditions?.map(({ type, status }) => [type, status])).toEqual([
      ['Ready', 'True'],
      ['Reachable', 'True'],
    ]);
    expect(document?.status?.allocatable?.ports).toBe('31000-32000');
    expect(document?.metadata.labels).toMatchObject({ 'tepui.dev/os': 'linux' });
  });

  test('runs a task to its end and reports every step', async () => {
    await platform.createTask('hello', {
      shell: 'echo "hello from $TEPUI_TASK_NAME"; echo oops >&2; test "$PWD" = "$MESOS_SANDBOX"',
    });
    const { status } = await platform.untilEnded('hello');
    expect(status).toMatchObject({ state: 'Finished', exitCode: 0, source: 'Executor', agentId: agent.agentId });
    expect(status?.history?.map(({ state }) => state)).toEqual(['Starting', 'Running', 'Finished']);
    expect(status?.conditions?.find(({ type }) => type === 'Succeeded')).toMatchObject({
      status: 'True',
      reason: 'Finished',
    });
    expect(output(status?.sandboxPath)).toBe('hello from hello\n');
    expect(output(status?.sandboxPath, 'stderr')).toBe('oops\n');
    expect(statSync(status!.sandboxPath!).mode & 0o777).toBe(0o750);
  });

  test.each<[string, object, object]>([
    ['exit-3', { shell: 'exit 3' }, { state: 'Failed', reason: 'ExitCode', exitCode: 3 }],
    ['segfault', { shell: 'kill -SEGV $$' }, { state: 'Failed' }],
    [
      'no-program',
      { command: ['/no/such/program'] },
      { state: 'Failed', reason: 'ContainerLaunchFailed', message: expect.stringContaining('/no/such/program') },
    ],
    [
      'no-user',
      { command: ['true'], user: 'nosuchuser' },
      {
        state: 'Failed',
        reason: 'ContainerLaunchFailed',
        message: expect.stringContaining('user "nosuchuser" does not exist'),
      },
    ],
    [
      'no-secret',
      { command: ['true'], env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'nosecret', key: 'k' } } }] },
      { state: 'Failed', message: expect.stringContaining('secret "nosecret"') },
    ],
    [
      'too-much',
      { shell: 'x=$(head -c 60000000 /dev/zero | tr "\\0" x); echo $x | wc', resources: { requests: { mem: '16Mi' } } },
      {
        state: 'Failed',
        reason: 'ContainerLimitationMemory',
        message: expect.stringContaining('16Mi'),
        limitation: { resource: 'mem' },
      },
    ],
  ])('says how %s ended', async (name, container, expected) => {
    await platform.createTask(name, container);
    expect((await platform.untilEnded(name)).status).toMatchObject(expected);
  });

  test('drops a task whose volume does not exist', async () => {
    await platform.createTask(
      'no-volume',
      { command: ['true'], volumeMounts: [{ name: 'v', mountPath: 'v' }] },
      { volumes: [{ name: 'v', volume: { volumeName: 'missing' } }] },
    );
    expect((await platform.untilEnded('no-volume')).status).toMatchObject({
      state: 'Dropped',
      reason: 'ResourcesUnknown',
      message: 'volume "missing" does not exist',
    });
  });

  test('kills on request: the stop signal first, and Killed even if the command then exits 0', async () => {
    await platform.createTask(
      'polite',
      { shell: 'trap "echo bye; exit 0" TERM; while :; do sleep 0.1; done' },
      { killPolicy: { gracePeriodSeconds: 10 } },
    );
    await platform.untilState('polite', 'Running');
    await sleep(100);
    await platform.kill('polite');
    const { status } = await platform.untilEnded('polite');
    expect(status).toMatchObject({ state: 'Killed', exitCode: 0 });
    expect(output(status?.sandboxPath)).toBe('bye\n');
  });

  test('kills what does not want to end after the grace period', async () => {
    await platform.createTask(
      'stubborn',
      { shell: 'trap "" TERM; while :; do sleep 0.1; done' },
      { killPolicy: { gracePeriodSeconds: 1.5 } },
    );
    await platform.untilState('stubborn', 'Running');
    await sleep(100);
    const begun = Date.now();
    await platform.kill('stubborn');
    await platform.untilState('stubborn', 'Killing');
    expect((await platform.untilEnded('stubborn')).status).toMatchObject({ state: 'Killed', signal: 9 });
    expect(Date.now() - begun).toBeGreaterThanOrEqual(1500);
  });

  test('ends a task at its longest time', async () => {
    await platform.createTask('long', { command: ['sleep', '100'] }, { maxCompletionTimeSeconds: 1 });
    expect((await platform.untilEnded('long')).status).toMatchObject({
      state: 'Failed',
      reason: 'MaxCompletionTimeReached',
    });
  });

  test('a deleted task is ended, its sandbox and record go, and then its document', async () => {
    await platform.createTask('deleted', { command: ['sleep', '100'] });
    const { status, metadata } = await platform.untilState('deleted', 'Running');
    await platform.client.delete(Task, { namespace: NAMESPACE, name: 'deleted' });
    await platform.untilDeleted('deleted');
    const record = join(platform.dataDir, `agent/meta/tasks/${metadata.uid}.json`);
    for (let tries = 0; (existsSync(status!.sandboxPath!) || existsSync(record)) && tries < 500; tries += 1)
      await sleep(20);
    expect(existsSync(status!.sandboxPath!)).toBe(false);
    expect(existsSync(record)).toBe(false);
  });

  test('a task that is deleted before it can start is never started', async () => {
    await platform.client.create(Volume, {
      metadata: { namespace: NAMESPACE, name: 'never-bound' },
      spec: { size: '1Mi' },
    });
    await platform.createTask(
      'waiting',
      { shell: 'echo ran', volumeMounts: [{ name: 'v', mountPath: 'v' }] },
      { volumes: [{ name: 'v', volume: { volumeName: 'never-bound' } }] },
    );
    const waiting = await platform.until('waiting', ({ status }) => status?.message !== undefined);
    expect(waiting.status).toMatchObject({ state: 'Staging', message: 'volume "never-bound" is not available yet' });
    await platform.client.delete(Task, { namespace: NAMESPACE, name: 'waiting' });
    await platform.untilDeleted('waiting');
    expect(existsSync(join(platform.dataDir, `agent/sandboxes/${NAMESPACE}/waiting`))).toBe(false);
    await platform.client.delete(Volume, { namespace: NAMESPACE, name: 'never-bound' });
  });

  test('secrets reach the task and nothing else: no checkpoint, no log', async () => {
    if (!platform.hasCore) return;
    const value = `hush-${Math.random()}`;
    await platform.client.create(Secret, {
      metadata: { namespace: NAMESPACE, name: 'pw' },
      data: { key: Buffer.from(value).toString('base64') },
    });
    await platform.createTask('secretive', {
      shell: 'printf %s "$PW" | md5sum; sleep 100',
      env: [{ name: 'PW', valueFrom: { secretKeyRef: { name: 'pw', key: 'key' } } }],
    });
    const { status } = await platform.untilState('secretive', 'Running');
    for (let tries = 0; output(status?.sandboxPath) === '' && tries < 100; tries += 1) await sleep(20);
    const { createHash } = await import('node:crypto');
    expect(output(status?.sandboxPath)).toContain(createHash('md5').update(value).digest('hex'));
    expect(platform.logged()).not.toContain(value);
    for (const path of readdirSync(platform.dataDir, { recursive: true, withFileTypes: true })) {
      if (path.isFile()) expect(readFileSync(join(path.parentPath, path.name), 'utf8')).not.toContain(value);
    }
    await platform.kill('secretive');
    await platform.untilEnded('secretive');
    await platform.client.delete(Secret, { namespace: NAMESPACE, name: 'pw' });
  });

  test('provides a volume, lets its first user own it, keeps its data, and removes it only when told', async () => {
    const key = { namespace: NAMESPACE, name: 'data' };
    await platform.client.create(Volume, { metadata: key, spec: { size: '1Mi' } });
    await platform.client.mergePatch(
      Volume,
      key,
      { status: { state: 'Bound', agentName: platform.agentName } },
      'status',
    );
    const spec = { volumes: [{ name: 'v', volume: { volumeName: 'data' } }] };
    const mounted = { volumeMounts: [{ name: 'v', mountPath: 'data' }] };
    await platform.createTask('writer', { shell: 'echo kept > data/file', ...mounted }, spec);
    expect((await platform.untilEnded('writer')).status).toMatchObject({ state: 'Finished' });
    await platform.createTask('reader', { shell: 'cat data/file', ...mounted }, spec);
    expect(output((await platform.untilEnded('reader')).status?.sandboxPath)).toBe('kept\n');
    const volume = await platform.client.get(Volume, key);
    expect(volume?.status).toMatchObject({
      state: 'Available',
      path: join(platform.dataDir, `agent/volumes/roles/*/${NAMESPACE}.data`),
    });
    await platform.client.mergePatch(Volume, key, { status: { state: 'Deleting' } }, 'status');
    for (
      let tries = 0;
      (await platform.client.get(Volume, key))?.status?.state !== 'Deleted' && tries < 200;
      tries += 1
    )
      await sleep(20);
    expect(existsSync(volume!.status!.path!)).toBe(false);
    await platform.client.delete(Volume, key);
  });

  test('runs many tasks side by side, each once', async () => {
    const names = Array.from({ length: 25 }, (_, index) => `many-${index}`);
    await Promise.all(names.map((name, index) => platform.createTask(name, { shell: `echo ran; exit ${index % 5}` })));
    for (const [index, name] of names.entries()) {
      const { status } = await platform.untilEnded(name);
      expect(status?.exitCode).toBe(index % 5);
      expect(output(status?.sandboxPath)).toBe('ran\n');
      expect(readdirSync(join(platform.dataDir, `agent/sandboxes/${NAMESPACE}/${name}/runs`))).toHaveLength(1);
    }
  });

  test('comes back as AgentReregistered after the controllers took it for unreachable', async () => {
    await platform.createTask('partitioned', { command: ['sleep', '100'] });
    const { status } = await platform.untilState('partitioned', 'Running');
    const key = { namespace: NAMESPACE, name: 'partitioned' };
    await platform.client.mergePatch(Task, key, { status: { state: 'Unreachable', reason: 'AgentRemoved' } }, 'status');
    const back = await platform.until('partitioned', (task) => task.status?.reason === 'AgentReregistered');
    expect(back.status).toMatchObject({ state: 'Running', containerId: status?.containerId });
    await platform.kill('partitioned');
    await platform.untilEnded('partitioned');
  });

  test('ends the container of a task that was declared gone, and leaves its state alone', async () => {
    await platform.createTask('gone', { command: ['sleep', '100'] });
    const { status } = await platform.untilState('gone', 'Running');
    await platform.client.mergePatch(
      Task,
      { namespace: NAMESPACE, name: 'gone' },
      { status: { state: 'GoneByOperator' } },
      'status',
    );
    const pid = status!.containers![0]!.pid!;
    for (let tries = 0; existsSync(`/proc/${pid}`) && tries < 300; tries += 1) await sleep(20);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    await sleep(200);
    expect((await platform.task('gone'))?.status?.state).toBe('GoneByOperator');
  });

  test('creates its document again when somebody deletes it, and honours a new policy', async () => {
    const before = await platform.client.get(Agent, { name: platform.agentName });
    await platform.client.delete(Agent, { name: platform.agentName });
    let after = before;
    for (
      let tries = 0;
      (after === undefined || after.metadata.uid === before?.metadata.uid || !after.status) && tries < 300;
      tries += 1
    ) {
      await sleep(20);
      after = await platform.client.get(Agent, { name: platform.agentName });
    }
    expect(after?.status?.agentId).toBe(agent.agentId);
    await platform.client.mergePatch(
      Agent,
      { name: platform.agentName },
      { spec: { resources: { cpus: '500m' }, isolation: { defaultUser: 'daemon' } } },
    );
    for (
      let tries = 0;
      (await platform.client.get(Agent, { name: platform.agentName }))?.status?.allocatable?.cpus !== '500m';
      tries += 1
    ) {
      if (tries > 300) throw new Error('the override was not taken over');
      await sleep(20);
    }
    await platform.createTask('as-daemon', { command: ['id', '-un'] });
    expect(output((await platform.untilEnded('as-daemon')).status?.sandboxPath)).toBe('daemon\n');
  });

  test('a second agent on the same data directory is refused with a sentence', async () => {
    await expect(platform.startAgent()).rejects.toThrow('another agent is running on');
  });
});
