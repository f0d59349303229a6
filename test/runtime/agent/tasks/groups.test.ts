import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Task } from '../../../../controllers/machinery/client/resources.ts';
import type { TaskContainer, Task as TaskDocument, TaskSpec } from '../../../../crds/types.generated.ts';
import { NAMESPACE, noContainers, type Platform, startPlatformWithAgent } from '../support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;

suite('a task group', () => {
  let platform: Platform;
  beforeAll(async () => {
    ({ platform } = await startPlatformWithAgent());
  }, 90_000);
  afterAll(() => platform.close(), 60_000);

  const create = (name: string, containers: TaskContainer[], spec: Partial<TaskSpec> = {}) =>
    platform.createTask(name, {}, { ...spec, containers });
  const status = (task: TaskDocument, name: string) =>
    task.status?.containers?.find((container) => container.name === name);
  const output = (task: TaskDocument, name: string, file = 'stdout') =>
    readFileSync(join(task.status?.sandboxPath ?? '', 'containers', name, file), 'utf8');
  const forever = 'while :; do sleep 0.05; done';

  test('runs its containers beside each other, each with its own sandbox, user and log, and is Finished when all are', async () => {
    await create('pair', [
      { name: 'one', shell: 'echo one > mine; id -u; ls' },
      { name: 'two', shell: 'id -u; sleep 0.3; ls', user: '1234', security: { userNamespace: 'Host' } },
    ]);
    const task = await platform.untilEnded('pair');
    expect(task.status).toMatchObject({ state: 'Finished', exitCode: 0 });
    expect(task.status?.containers?.map(({ name, state }) => [name, state])).toEqual([
      ['one', 'Finished'],
      ['two', 'Finished'],
    ]);
    expect(status(task, 'one')?.userNamespace?.mode).toMatch(/Private|Host/);
    expect(status(task, 'two')?.userNamespace).toEqual({ mode: 'Host' });
    expect(output(task, 'one')).toBe('65534\nmine\nstderr\nstdout\n');
    expect(output(task, 'two')).toBe('1234\nstderr\nstdout\n');
    expect(status(task, 'one')?.containerId).toBe(`${task.status?.containerId}.one`);
    expect(task.status?.history?.map(({ state }) => state)).toEqual(['Starting', 'Running', 'Finished']);
  });

  test('shares IPC and volumes of the task', async () => {
    await create(
      'shares',
      [
        {
          name: 'writer',
          shell: 'echo memory > /dev/shm/x; echo file > shared/y',
          volumeMounts: [{ name: 'v', mountPath: 'shared' }],
        },
        {
          name: 'reader',
          shell: 'while ! [ -s /dev/shm/x -a -s shared/y ]; do sleep 0.05; done; cat /dev/shm/x shared/y',
          volumeMounts: [{ name: 'v', mountPath: 'shared' }],
        },
      ],
      { volumes: [{ name: 'v', sandboxPath: { type: 'Parent', path: 'common' } }] },
    );
    const task = await platform.untilEnded('shares');
    expect([task.status?.state, task.status?.message]).toEqual(['Finished', undefined]);
    expect(output(task, 'reader')).toBe('memory\nfile\n');
  });

  test('ends whole when one container fails: the others by the kill policy, the task with the reason of the culprit', async () => {
    await create('coupled', [
      { name: 'works', shell: `trap "echo bye; exit 0" TERM; ${forever}` },
      { name: 'fails', shell: 'sleep 0.5; exit 5' },
    ]);
    const task = await platform.untilEnded('coupled');
    expect(task.status).toMatchObject({ state: 'Failed', reason: 'ExitCode', exitCode: 5 });
    expect(task.status?.message).toContain('container "fails": exited with code 5');
    expect(output(task, 'works')).toBe('bye\n');
    expect([status(task, 'works')?.state, status(task, 'fails')?.state]).toEqual(['Killed', 'Failed']);
  });

  test('goes on when one container is done', async () => {
    await create('outlived', [
      { name: 'short', shell: 'exit 0' },
      { name: 'long', shell: forever },
    ]);
    const isShortOver = (seen: TaskDocument) =>
      status(seen, 'short')?.state === 'Finished' && seen.status?.state !== 'Starting';
    const task = await platform.until('outlived', isShortOver);
    expect(task.status?.state).toBe('Running');
    expect(task.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True');
    await platform.kill('outlived');
    expect((await platform.untilEnded('outlived')).status).toMatchObject({ state: 'Killed' });
  });

  test('runs init containers one after another before the others, and fails with the first that fails', async () => {
    const mounts = { volumeMounts: [{ name: 'v', mountPath: 'shared' }] };
    const volumes = [{ name: 'v', sandboxPath: { type: 'Parent' as const, path: 'common' } }];
    await create('initialised', [{ name: 'main', shell: 'cat shared/log', ...mounts }], {
      volumes,
      initContainers: [
        { name: 'first', shell: 'sleep 0.2; echo first >> shared/log', ...mounts },
        { name: 'second', shell: 'echo second >> shared/log', ...mounts },
      ],
    });
    const task = await platform.untilEnded('initialised');
    expect([task.status?.state, task.status?.message]).toEqual(['Finished', undefined]);
    expect(output(task, 'main')).toBe('first\nsecond\n');
    expect(task.status?.containers?.map(({ name, init }) => [name, init ?? false])).toEqual([
      ['first', true],
      ['second', true],
      ['main', false],
    ]);
    await create('bad-init', [{ name: 'main', shell: 'echo ran' }], {
      initContainers: [{ name: 'broken', shell: 'exit 8' }],
    });
    const failed = await platform.untilEnded('bad-init');
    expect(failed.status).toMatchObject({ state: 'Failed', exitCode: 8 });
    expect(failed.status?.message).toContain('init container "broken"');
    expect(status(failed, 'main')).toMatchObject({ state: 'Killed', message: 'it was never started' });
    expect(existsSync(join(failed.status!.sandboxPath!, 'containers/main'))).toBe(false);
  });

  test('starts containers as they depend on each other: started, healthy, completed', async () => {
    const check = {
      delaySeconds: 0,
      intervalSeconds: 0.1,
      timeoutSeconds: 5,
      gracePeriodSeconds: 60,
      exec: { shell: 'test -e healthy' },
    };
    const log = 'echo $TEPUI_CONTAINER_NAME >> shared/log';
    const mounts = { volumeMounts: [{ name: 'v', mountPath: 'shared' }] };
    await create(
      'ordered',
      [
        {
          name: 'last',
          shell: `${log}; cat shared/log`,
          dependsOn: [{ name: 'job', condition: 'Completed' }],
          ...mounts,
        },
        { name: 'job', shell: log, dependsOn: [{ name: 'db', condition: 'Healthy' }], ...mounts },
        { name: 'db', shell: `sleep 0.3; ${log}; touch healthy; ${forever}`, healthCheck: check, ...mounts },
        { name: 'side', shell: forever, dependsOn: [{ name: 'db', condition: 'Started' }] },
      ],
      { volumes: [{ name: 'v', sandboxPath: { type: 'Parent', path: 'common' } }] },
    );
    const task = await platform.until('ordered', (seen) => status(seen, 'last')?.state === 'Finished');
    expect(output(task, 'last')).toBe('db\njob\nlast\n');
    expect(status(task, 'side')?.state).toBe('Running');
    await platform.kill('ordered');
    await platform.untilEnded('ordered');
  });

  test.each<[string, TaskContainer[], Partial<TaskSpec>, string]>([
    [
      'a cycle',
      [
        { name: 'a', shell: 'x', dependsOn: [{ name: 'b' }] },
        { name: 'b', shell: 'x', dependsOn: [{ name: 'a' }] },
      ],
      {},
      'spec.containers[0].dependsOn: the containers wait for each other: a -> b -> a',
    ],
    [
      'an unknown name',
      [{ name: 'a', shell: 'x', dependsOn: [{ name: 'b' }] }],
      {},
      'spec.containers[0].dependsOn[0].name',
    ],
    [
      'a health nobody checks',
      [
        { name: 'a', shell: 'x', dependsOn: [{ name: 'b', condition: 'Healthy' }] },
        { name: 'b', shell: 'x' },
      ],
      {},
      'spec.containers[0].dependsOn[0].condition: container "b" has no healthCheck',
    ],
    [
      'an init container with a check',
      [{ name: 'a', shell: 'x' }],
      { initContainers: [{ name: 'i', shell: 'x', check: { exec: { shell: 'x' } } }] },
      'spec.initContainers[0].check',
    ],
  ])('with %s is an Error that names the field', async (name, containers, spec, message) => {
    const task = name.replaceAll(' ', '-');
    await create(task, containers, spec);
    const { status } = await platform.untilEnded(task);
    expect(status).toMatchObject({ state: 'Error', reason: 'TaskInvalid', message: expect.stringContaining(message) });
  });

  test('restarts one container in place while the others go on', async () => {
    await create(
      'partly',
      [
        { name: 'crashes', shell: 'echo run >> runs; test $(wc -l < runs) -ge 2 && exec sleep 1000; exit 1' },
        { name: 'stays', shell: forever },
      ],
      { restartPolicy: { condition: 'OnFailure', backoff: { initialSeconds: 0.05, factor: 1, maxSeconds: 1 } } },
    );
    const task = await platform.until(
      'partly',
      (seen) => status(seen, 'crashes')?.restarts === 1 && status(seen, 'crashes')?.state === 'Running',
    );
    expect(status(task, 'crashes')?.containerId).toBe(`${task.status?.containerId}.crashes.1`);
    expect(status(task, 'stays')).toMatchObject({ state: 'Running', restarts: 0 });
    await platform.client.delete(Task, { namespace: NAMESPACE, name: 'partly' });
    await platform.untilDeleted('partly');
  });

  /** The process that keeps what the containers share. */
  function killPause(task: TaskDocument): void {
    const pause = readdirSync('/proc').find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`${task.status?.containerId}._pause`);
      } catch {
        return false;
      }
    });
    process.kill(Number(pause), 'SIGKILL');
  }

  test('fails with a reason when what its containers share is lost', async () => {
    await create('bereft', [
      { name: 'one', shell: forever },
      { name: 'two', shell: forever },
    ]);
    killPause(await platform.until('bereft', (seen) => status(seen, 'two')?.state === 'Running'));
    expect((await platform.untilEnded('bereft')).status).toMatchObject({
      state: 'Failed',
      reason: 'ExecutorTerminated',
      source: 'Agent',
      message: expect.stringContaining("keeps what the task's containers share is gone"),
    });
  });

  test.each(['one container after another', 'while none runs'])('restarts with it made again: %s', async (when) => {
    const name = `bereft-${when.split(' ').at(-1)}`;
    const awaited =
      'echo $TEPUI_CONTAINER_NAME >> /dev/shm/names; while [ $(wc -l < /dev/shm/names) -lt 2 ]; do sleep 0.05; done';
    const once = when === 'while none runs' ? 'test $(cat runs | wc -l) = 1 && exit 1' : ':';
    const shell = `echo >> runs; ${awaited}; ${once}; echo run $(cat runs | wc -l) of $(wc -l < /dev/shm/names); ${forever}`;
    await create(
      name,
      [
        { name: 'one', shell },
        { name: 'two', shell },
      ],
      { restartPolicy: { condition: 'Always', backoff: { initialSeconds: 2, factor: 1, maxSeconds: 2 } } },
    );
    const before = when === 'while none runs' ? 'Restarting' : 'Running';
    killPause(
      await platform.until(name, (seen) => ['one', 'two'].every((each) => status(seen, each)?.state === before)),
    );
    const task = await platform.until(name, (seen) =>
      ['one', 'two'].every((each) => status(seen, each)?.state === 'Running' && status(seen, each)?.restarts === 1),
    );
    for (let tries = 0; !output(task, 'one').includes('run 2') && tries < 200; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 20));
    // Their shared memory is a new one.
    expect(output(task, 'one')).toContain('run 2 of 2');
    await platform.kill(name);
    await platform.untilEnded(name);
  });

  test('is held to the sum of its limits together, and with shareCgroups false each container to its own', async () => {
    const eats = (bytes: number) => `x=$(head -c ${bytes} /dev/zero | tr "\\0" x); sleep 0.2; echo ok`;
    const resources = { requests: { mem: '32Mi' } };
    const other = { name: 'idle', shell: 'sleep 1', resources };
    // More than its own limit, less than both.
    const hungry = { name: 'hungry', shell: eats(20_000_000), resources };
    await create('together', [hungry, other]);
    const together = await platform.untilEnded('together');
    expect([together.status?.state, together.status?.message]).toEqual(['Finished', undefined]);
    await create('apart', [hungry, other], { shareCgroups: false });
    expect((await platform.untilEnded('apart')).status).toMatchObject({
      state: 'Failed',
      reason: 'ContainerLimitationMemory',
      message: expect.stringContaining('container "hungry"'),
    });
  });

  test('leaves nothing behind', async () => {
    const tasks = await platform.client.list(Task, { namespace: NAMESPACE });
    for (const { metadata } of tasks.items) {
      await platform.client.delete(Task, { namespace: NAMESPACE, name: metadata.name! });
      await platform.untilDeleted(metadata.name!);
    }
    const agent = join(platform.dataDir, 'agent');
    const left = () => [
      ...readdirSync(join(agent, 'meta/tasks')),
      ...readdirSync(join(agent, 'containers')),
      ...(existsSync(join(agent, 'sandboxes')) ? readdirSync(join(agent, 'sandboxes')) : []),
    ];
    for (let tries = 0; left().length > 0 && tries < 500; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(left()).toEqual([]);
  });
});
