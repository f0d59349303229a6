import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FrameworkRole, Task } from '../../../../controllers/machinery/client/resources.ts';
import type { Task as TaskDocument } from '../../../../crds/types.generated.ts';
import type { RunningAgent } from '../../../../runtime/agent/index.ts';
import { NAMESPACE, noContainers, type Platform, startPlatformWithAgent } from '../support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;

suite('a running task', () => {
  let platform: Platform;
  let agent: RunningAgent;
  beforeAll(async () => {
    ({ platform, agent } = await startPlatformWithAgent());
  }, 90_000);
  afterAll(() => platform.close(), 60_000);

  const main = (task: TaskDocument) => task.status?.containers?.[0];
  const condition = (task: TaskDocument, type: string) => task.status?.conditions?.find((each) => each.type === type);
  const output = (task: TaskDocument, file = 'stdout') =>
    readFileSync(join(task.status?.sandboxPath ?? '', file), 'utf8');
  const change = (name: string, spec: object) =>
    platform.client.mergePatch(Task, { namespace: NAMESPACE, name }, { spec });
  const quickly = { initialSeconds: 0.05, factor: 1, maxSeconds: 1 };

  describe('with a restart policy', () => {
    test('is restarted in place after failures: same sandbox, another run, the log of the run before kept', async () => {
      await platform.createTask(
        'comes-back',
        {
          shell:
            'echo run >> runs; echo "this is run $(wc -l < runs)"; test $(wc -l < runs) -ge 3 && exec sleep 1000; exit 7',
        },
        { restartPolicy: { condition: 'OnFailure', backoff: quickly } },
      );
      const task = await platform.until(
        'comes-back',
        (seen) => main(seen)?.restarts === 2 && main(seen)?.state === 'Running',
      );
      expect(task.status).toMatchObject({ state: 'Running' });
      expect(main(task)!.containerId).toBe(`${task.status!.containerId}.2`);
      // It is Running before it has said anything.
      await expectLonger(() => output(task), '');
      expect(output(task)).toBe('this is run 3\n');
      expect(output(task, 'stdout.previous')).toBe('this is run 2\n');
      expect(task.status?.history?.map(({ state }) => state)).toEqual(['Starting', 'Running']);
      await platform.kill('comes-back');
      const killed = await platform.untilEnded('comes-back');
      expect(killed.status).toMatchObject({ state: 'Killed', signal: 15 });
    });

    test('fails with the last end when maxRestarts are used up', async () => {
      await platform.createTask(
        'gives-up',
        { shell: 'exit 9' },
        { restartPolicy: { condition: 'OnFailure', maxRestarts: 2, backoff: quickly } },
      );
      const task = await platform.untilEnded('gives-up');
      expect(task.status).toMatchObject({ state: 'Failed', reason: 'ExitCode', exitCode: 9 });
      expect(task.status?.message).toContain('restarted 2 times');
      expect(main(task)).toMatchObject({ state: 'Failed', restarts: 2, exitCode: 9 });
    });

    test('ends well with its command with OnFailure, and is restarted with Always', async () => {
      await platform.createTask(
        'done',
        { shell: 'exit 0' },
        { restartPolicy: { condition: 'OnFailure', backoff: quickly } },
      );
      expect((await platform.untilEnded('done')).status).toMatchObject({ state: 'Finished', exitCode: 0 });
      await platform.createTask(
        'again',
        { shell: 'exit 0' },
        { restartPolicy: { condition: 'Always', backoff: quickly } },
      );
      await platform.until('again', (seen) => (main(seen)?.restarts ?? 0) >= 2);
      await platform.kill('again');
      expect((await platform.untilEnded('again')).status?.state).toBe('Killed');
    });

    test('says when it starts again, and can be killed while it waits', async () => {
      await platform.createTask(
        'waits',
        { shell: 'exit 4' },
        { restartPolicy: { condition: 'Always', backoff: { initialSeconds: 1000, factor: 1, maxSeconds: 1000 } } },
      );
      const task = await platform.until('waits', (seen) => main(seen)?.state === 'Restarting');
      expect(main(task)).toMatchObject({ reason: 'ExitCode', exitCode: 4 });
      expect(main(task)?.message).toMatch(/exited with code 4; starts again at 2\d\d\d-/);
      expect(condition(task, 'Ready')).toMatchObject({ status: 'False', reason: 'ContainersNotReady' });
      await platform.kill('waits');
      expect((await platform.untilEnded('waits')).status).toMatchObject({ state: 'Killed', exitCode: 4 });
    });

    test('is restarted by the next agent when it ended or waited while there was none', async () => {
      await platform.createTask(
        'survives',
        { shell: 'echo run >> runs; while [ ! -e go ]; do sleep 0.05; done; rm go; exit 1' },
        { restartPolicy: { condition: 'Always', backoff: quickly } },
      );
      const { status } = await platform.untilState('survives', 'Running');
      await agent.close();
      const { writeFileSync } = await import('node:fs');
      writeFileSync(join(status!.sandboxPath!, 'go'), '');
      agent = await platform.startAgent();
      await agent.ready;
      const task = await platform.until(
        'survives',
        (seen) => main(seen)?.restarts === 1 && main(seen)?.state === 'Running',
      );
      expect(readFileSync(join(task.status!.sandboxPath!, 'runs'), 'utf8')).toBe('run\nrun\n');
      await platform.kill('survives');
      await platform.untilEnded('survives');
    });
  });

  describe('whose document changes', () => {
    test('gets other cpu and memory without a restart, and names what is not applied', async () => {
      await platform.createTask('grows', {
        command: ['sleep', '1000'],
        resources: { requests: { cpus: '100m', mem: '64Mi' } },
      });
      const before = await platform.untilState('grows', 'Running');
      const resources = { requests: { cpus: '200m', mem: '96Mi' }, limits: { mem: '128Mi' } };
      await change('grows', { containers: [{ ...before.spec.containers[0], resources }] });
      const after = await platform.until('grows', (seen) => condition(seen, 'SpecApplied')?.status === 'True');
      expect(main(after)).toMatchObject({ pid: main(before)!.pid, restarts: 0, state: 'Running' });
      const groups = readFileSync(`/proc/${main(after)!.pid}/cgroup`, 'utf8');
      expect(memoryLimit(groups)).toBe(128 * 2 ** 20);
      await change('grows', { containers: [{ ...after.spec.containers[0], env: [{ name: 'A', value: 'b' }] }] });
      const named = await platform.until('grows', (seen) => condition(seen, 'SpecApplied')?.status === 'False');
      expect(condition(named, 'SpecApplied')).toMatchObject({
        reason: 'FieldsNotApplied',
        message: expect.stringContaining('spec.containers[0].env'),
      });
      await platform.kill('grows');
      await platform.untilEnded('grows');
    });

    test('is not given more than its agent has, and says so', async () => {
      await platform.createTask('greedy', { command: ['sleep', '1000'] });
      const before = await platform.untilState('greedy', 'Running');
      const resources = { requests: { cpus: '1000', mem: '128Mi' } };
      await change('greedy', { containers: [{ ...before.spec.containers[0], resources }] });
      const refused = await platform.until('greedy', (seen) => condition(seen, 'SpecApplied')?.status === 'False');
      expect(condition(refused, 'SpecApplied')).toMatchObject({
        reason: 'ContainerUpdateFailed',
        message: expect.stringContaining('resources.requests.cpus'),
      });
      expect(refused.status?.state).toBe('Running');
      await change('greedy', { containers: before.spec.containers });
      await platform.until('greedy', (seen) => condition(seen, 'SpecApplied')?.status !== 'False');
      await platform.kill('greedy');
      await platform.untilEnded('greedy');
    });

    test('is not given more than the quota limit of its role leaves, its children and other tasks counted', async () => {
      const resources = (cpus: string) => ({ requests: { cpus, mem: '64Mi' } });
      const create = (name: string, role: string) =>
        platform.createTask(name, { command: ['sleep', '1000'], resources: resources('100m') }, { role });
      await platform.client.create(FrameworkRole, {
        metadata: { name: 'eng' },
        spec: { quota: { limits: { cpus: '300m' } } },
      });
      await Promise.all([create('first', 'eng'), create('second', 'eng/dev'), create('other', 'ops')]);
      const before = await platform.untilState('first', 'Running');
      const raise = (name: string, cpus: string) =>
        change(name, { containers: [{ ...before.spec.containers[0], resources: resources(cpus) }] });
      await raise('first', '250m');
      const refused = await platform.until('first', (seen) => condition(seen, 'SpecApplied')?.status === 'False');
      expect(condition(refused, 'SpecApplied')).toMatchObject({
        reason: 'ContainerUpdateFailed',
        message: expect.stringMatching(/resources.requests.cpus: .* role "eng" .* quota limit of 300m/),
      });
      await platform.untilState('other', 'Running');
      await Promise.all([raise('first', '200m'), raise('other', '400m')]);
      for (const name of ['first', 'other'])
        await platform.until(name, (seen) => condition(seen, 'SpecApplied')?.status === 'True');
      for (const name of ['first', 'second', 'other']) await platform.kill(name);
      for (const name of ['first', 'second', 'other']) await platform.untilEnded(name);
    });

    test('is ended by the kill policy that its document has then, and sooner when that is shortened', async () => {
      const stubborn = { shell: 'trap "" TERM; echo up; while :; do sleep 0.05; done' };
      await platform.createTask('stubborn', stubborn, { killPolicy: { gracePeriodSeconds: 0 } });
      const running = await platform.until(
        'stubborn',
        (seen) => seen.status?.state === 'Running' && output(seen).includes('up'),
      );
      await change('stubborn', { desiredState: 'Killed', killPolicy: { gracePeriodSeconds: 3600 } });
      const killing = await platform.untilState('stubborn', 'Killing');
      expect([condition(killing, 'SpecApplied'), main(killing)?.pid]).toEqual([undefined, main(running)!.pid]);
      await change('stubborn', { killPolicy: { gracePeriodSeconds: 0 } });
      expect((await platform.untilEnded('stubborn')).status).toMatchObject({ state: 'Killed', signal: 9 });
    });

    test('is frozen and resumed; a kill ends it while it is frozen', async () => {
      await platform.createTask('freezes', { shell: 'while :; do echo tick; sleep 0.02; done' });
      const running = await platform.untilState('freezes', 'Running');
      await change('freezes', { desiredState: 'Frozen' });
      const frozen = await platform.until('freezes', (seen) => condition(seen, 'Frozen')?.status === 'True');
      expect(condition(frozen, 'Ready')).toMatchObject({ status: 'False', reason: 'Frozen' });
      expect(frozen.status?.state).toBe('Running');
      const seen = output(running);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(output(running)).toBe(seen);
      await change('freezes', { desiredState: 'Running' });
      await platform.until('freezes', (task) => condition(task, 'Frozen')?.status === 'False');
      await expectLonger(() => output(running), seen);
      await change('freezes', { desiredState: 'Frozen' });
      await platform.until('freezes', (task) => condition(task, 'Frozen')?.status === 'True');
      await platform.kill('freezes');
      const { status } = await platform.untilEnded('freezes');
      expect(status).toMatchObject({ state: 'Killed' });
    });

    test('that is frozen from the start waits until it may run', async () => {
      await platform.createTask('cold', { shell: 'echo ran' }, { desiredState: 'Frozen' });
      const waiting = await platform.until('cold', (seen) => seen.status?.reason === 'Frozen');
      expect(waiting.status).toMatchObject({ state: 'Staging' });
      await change('cold', { desiredState: 'Running' });
      expect((await platform.untilEnded('cold')).status?.state).toBe('Finished');
    });
  });

  describe('with checks', () => {
    const probe = { delaySeconds: 0, intervalSeconds: 0.1, timeoutSeconds: 5, gracePeriodSeconds: 0 };

    test('is Ready once it is healthy and ready', async () => {
      await platform.createTask('checked', {
        shell: 'while :; do sleep 0.05; done',
        healthCheck: { ...probe, exec: { shell: 'test -e healthy' }, consecutiveFailures: 0 },
        readinessCheck: { intervalSeconds: 0.1, timeoutSeconds: 5, exec: { shell: 'test -e ready' } },
        check: { delaySeconds: 0, intervalSeconds: 0.1, timeoutSeconds: 5, exec: { shell: 'exit 3' } },
      });
      const sick = await platform.until('checked', (seen) => seen.status?.healthy === false);
      expect(condition(sick, 'Healthy')?.status).toBe('False');
      expect(condition(sick, 'Ready')).toMatchObject({ status: 'False', reason: 'Unhealthy' });
      const { writeFileSync } = await import('node:fs');
      writeFileSync(join(sick.status!.sandboxPath!, 'healthy'), '');
      const healthy = await platform.until('checked', (seen) => seen.status?.healthy === true);
      expect(condition(healthy, 'Ready')?.status).toBe('False');
      writeFileSync(join(sick.status!.sandboxPath!, 'ready'), '');
      const ready = await platform.until('checked', (seen) => condition(seen, 'Ready')?.status === 'True');
      expect(main(ready)).toMatchObject({ healthy: true, ready: true });
      expect((await platform.until('checked', (seen) => seen.status?.checkStatus?.exitCode === 3)).status?.state).toBe(
        'Running',
      );
      await platform.kill('checked');
      await platform.untilEnded('checked');
    });

    test('is Killed by the agent alone after consecutive failures, with healthy false', async () => {
      await platform.createTask('sick', {
        command: ['sleep', '1000'],
        healthCheck: { ...probe, exec: { command: ['false'] }, consecutiveFailures: 2 },
      });
      const task = await platform.untilEnded('sick');
      expect(task.status).toMatchObject({ state: 'Killed', reason: 'TaskHealthCheckStatusUpdated', healthy: false });
    });

    test('is restarted in place when it has a policy for that', async () => {
      await platform.createTask(
        'heals',
        {
          shell: 'echo run >> runs; exec sleep 1000',
          healthCheck: { ...probe, exec: { shell: 'test $(wc -l < runs) -ge 2' }, consecutiveFailures: 2 },
        },
        { restartPolicy: { condition: 'OnFailure', backoff: quickly } },
      );
      const task = await platform.until('heals', (seen) => seen.status?.healthy === true);
      expect(main(task)).toMatchObject({ restarts: 1, state: 'Running' });
      await platform.kill('heals');
      await platform.untilEnded('heals');
    });
  });
});

function memoryLimit(groups: string): number {
  const v1 = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(groups)?.[1];
  const file =
    v1 === undefined
      ? `/sys/fs/cgroup${/^0::(.*)$/m.exec(groups)![1]}/memory.max`
      : `/sys/fs/cgroup/memory${v1}/memory.limit_in_bytes`;
  return Number(readFileSync(file, 'utf8'));
}

async function expectLonger(read: () => string, before: string): Promise<void> {
  for (let tries = 0; read().length <= before.length && tries < 500; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(read().length).toBeGreaterThan(before.length);
}
