import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Framework, Task, Volume } from '../../controllers/machinery/client/resources.ts';
import { eventually, startSystem, type TestSystem } from './harness.ts';

const EXAMPLES = new URL('../../manifests/examples', import.meta.url).pathname;
const namespace = 'default';

let system: TestSystem;
beforeAll(async () => {
  system = await startSystem();
}, 60_000);
afterAll(async () => {
  await system?.stop();
}, 60_000);

describe('every example applies cleanly, and does what it says', () => {
  const expectations: Record<string, () => Promise<void>> = {
    'service.yaml': async () => {
      await eventually('three clocks', async () =>
        (await system.client.get(Framework, { namespace, name: 'clock' }))?.status?.readyReplicas === 3
          ? true
          : undefined,
      );
    },
    'job.yaml': async () => {
      const job = await succeeded('squares');
      expect(job.status?.completedIndexes).toBe('0-9');
    },
    'task.yaml': async () => {
      await finished('hello-once');
      expect(system.tepui(['logs', 'hello-once']).stdout).toBe('hello from a contained process\n');
    },
    'task-group.yaml': async () => {
      await finished('kitchen');
      expect(system.tepui(['logs', 'kitchen', '-c', 'guest']).stdout).toBe('bread, cheese\n');
    },
    'volume.yaml': async () => {
      await succeeded('count-up');
      const volume = await system.client.get(Volume, { namespace, name: 'counter' });
      expect(readFileSync(join(volume?.status?.path as string, 'count'), 'utf8')).toBe('1\n');
    },
    'placement.yaml': async () => {
      const waiting = await eventually('one task to wait and say why', async () => {
        const { items } = await system.client.list(Task, {
          namespace,
          labelSelector: 'tepui.dev/framework=one-per-agent',
        });
        return items.length === 2 && items.some((task) => task.status?.state === 'Running')
          ? items.find((task) => task.status?.placement?.reasons?.length)
          : undefined;
      });
      const why = system.tepui(['why', waiting.metadata?.name as string]);
      expect(why.stdout).toMatch(/not placed: 1 agents/);
      expect(why.stdout).toMatch(/Unique/);
    },
    'security.yaml': async () => {
      await finished('confined');
      const { stdout } = system.tepui(['logs', 'confined']);
      expect(stdout).toMatch(/CapBnd:\t0{16}/);
      expect(stdout).toMatch(/NoNewPrivs:\t1/);
      expect(stdout).toMatch(/Seccomp:\t2/);
      expect(stdout).toMatch(/^lo$/m);
      expect(stdout).not.toMatch(/^eth/m);
    },
    'secret.yaml': async () => {
      await finished('reads-a-secret');
      expect(system.tepui(['logs', 'reads-a-secret']).stdout).toBe('the secret has 11 letters\n');
    },
  };

  test('each example has an expectation', () => {
    expect(
      readdirSync(EXAMPLES)
        .filter((file) => file.endsWith('.yaml'))
        .sort(),
    ).toEqual(Object.keys(expectations).sort());
  });

  test.each(Object.entries(expectations))(
    '%s',
    async (file, holds) => {
      const applied = system.kubectl(['apply', '-f', join(EXAMPLES, file)]);
      expect(applied.stderr).toBe('');
      expect(applied.status).toBe(0);
      await holds();
      // kubectl says "configured" whenever a list got defaults, so the server is asked: a second apply must change nothing.
      const generations = () =>
        system.kubectl(['get', '-f', join(EXAMPLES, file), '-o', 'jsonpath={..metadata.generation}']).stdout;
      const before = generations();
      expect(system.kubectl(['apply', '-f', join(EXAMPLES, file)]).status).toBe(0);
      expect(generations()).toBe(before);
      expect(system.kubectl(['delete', '-f', join(EXAMPLES, file)]).status).toBe(0);
    },
    60_000,
  );
});

describe('the command line', () => {
  test('run streams output and ends with the exit code of the command', () => {
    const { stdout, stderr, status } = system.tepui(['run', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect({ stdout, stderr, status }).toEqual({ stdout: 'out\n', stderr: 'err\n', status: 7 });
  });

  test('run ends with 128 + N when signal N ended the command', () => {
    expect(system.tepui(['run', '--', 'sh', '-c', 'kill -9 $$']).status).toBe(137);
  });

  test('run ends with 125 when the command cannot be started, and says why', () => {
    const { stderr, status } = system.tepui(['run', '--', 'no-such-command']);
    expect(stderr).toContain('no-such-command');
    expect(status).toBe(125);
  });

  test('exec runs in the container, with its standard input and its exit code', async () => {
    expect(system.tepui(['run', '-d', '--name', 'target', '--', 'sleep', '1000']).stdout).toBe('target\n');
    await eventually('it to run', async () =>
      (await system.client.get(Task, { namespace, name: 'target' }))?.status?.state === 'Running' ? true : undefined,
    );
    const { stdout, status } = system.tepui(
      ['exec', '-i', 'target', '--', 'sh', '-c', 'cat; echo $TEPUI_TASK_NAME; exit 3'],
      'from outside\n',
    );
    expect(stdout).toBe('from outside\ntarget\n');
    expect(status).toBe(3);
  });

  test('stats shows what a running task uses', () => {
    const { stdout } = system.tepui(['stats', 'target']);
    expect(stdout).toMatch(/NAMESPACE +TASK/);
    expect(stdout).toMatch(/default +target +main +[\d.]+% +.* 128 MiB/);
  });

  test('logs of a task that does not exist ends with 5', () => {
    expect(system.tepui(['logs', 'nothing']).status).toBe(5);
  });

  test('killing the process of `up` is said to leave tasks running, and they are', async () => {
    system.child.kill('SIGTERM');
    await eventually('it to end', () => (system.child.exitCode === null ? undefined : true));
    expect(system.output()).toMatch(/Running tasks are left running/);
    await system.restart();
    const task = await eventually('the task to be taken back', async () =>
      system.client.get(Task, { namespace, name: 'target' }),
    );
    expect(task.status?.state).toBe('Running');
    expect(system.tepui(['exec', 'target', '--', 'echo', 'still here']).stdout).toBe('still here\n');
    await system.client.delete(Task, { namespace, name: 'target' });
  });
});

async function finished(name: string): Promise<void> {
  await eventually(`task ${name} to finish`, async () =>
    (await system.client.get(Task, { namespace, name }))?.status?.state === 'Finished' ? true : undefined,
  );
}

function succeeded(name: string): Promise<Framework> {
  return eventually(`framework ${name} to succeed`, async () => {
    const framework = await system.client.get(Framework, { namespace, name });
    return framework?.status?.conditions?.some(
      (condition) => condition.type === 'Succeeded' && condition.status === 'True',
    )
      ? framework
      : undefined;
  });
}
