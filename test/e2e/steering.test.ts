/** freeze, resume, update, kill, stats and logs of tasks with one container and several, as a person uses them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, startSystem, type TestSystem } from './harness.ts';

const unavailable = process.getuid?.() === 0 ? undefined : 'needs root';
if (unavailable) process.stderr.write(`steering tasks: skipped: ${unavailable}\n`);

(unavailable ? describe.skip : describe)('steering tasks', () => {
  let system: TestSystem;
  const tepui = (...args: string[]) => system.tepui(args);
  const resources = { requests: { cpus: '10m', mem: '32Mi' } };

  function apply(name: string, spec: object, kind = 'Task'): void {
    const document = { apiVersion: 'tepui.dev/v1alpha1', kind, metadata: { name, namespace: 'default' }, spec };
    const { status, stderr } = system.kubectl(['apply', '-f', '-'], JSON.stringify(document));
    expect([status, stderr]).toEqual([0, expect.any(String)]);
  }

  const running = (name: string) =>
    eventually(`task ${name} to run`, () => {
      const { stdout } = system.kubectl(['get', 'task', name, '-o', 'jsonpath={.status.state}']);
      return stdout === 'Running' || undefined;
    });

  beforeAll(async () => {
    system = await startSystem();
    apply('ticker', { containers: [{ name: 'main', shell: 'while :; do echo tick; sleep 0.1; done', resources }] });
    apply('pair', {
      containers: [
        { name: 'left', shell: 'echo from left; exec sleep 1000', resources },
        { name: 'right', shell: 'echo from right; echo wrong >&2; exec sleep 1000', resources },
      ],
    });
    await Promise.all(['ticker', 'pair'].map(running));
  }, 90_000);
  afterAll(() => system?.stop(), 60_000);

  test('a frozen task does nothing until it is resumed', async () => {
    const lines = () => tepui('logs', 'ticker').stdout.split('\n').length;
    expect(tepui('freeze', 'ticker')).toMatchObject({ stdout: 'task ticker frozen\n', status: 0 });
    const before = lines();
    expect(lines()).toBe(before);
    expect(tepui('resume', 'ticker')).toMatchObject({ stdout: 'task ticker resumed\n', status: 0 });
    await eventually('it to go on', () => lines() > before || undefined);
  }, 60_000);

  test('limits change while a task runs, and what cannot be is told', () => {
    expect(tepui('update', 'ticker', '--cpu-limit', '500m', '--mem', '48Mi', '--mem-limit', '64Mi')).toMatchObject({
      stdout: 'task ticker updated\n',
      status: 0,
    });
    const [row] = JSON.parse(tepui('stats', 'ticker', '-o', 'json').stdout);
    expect(row).toMatchObject({ container: 'main', statistics: { cpusLimit: 0.5, memLimitBytes: 64 * 2 ** 20 } });
    expect(row.rates.cpus).toBeGreaterThanOrEqual(0);
    expect(tepui('update', 'ticker').status).toBe(2);
    expect(tepui('update', 'ticker', '-c', 'other', '--cpus', '1').status).toBe(5);
    expect(tepui('update', 'ticker', '--mem', 'lots').status).not.toBe(0);
  }, 60_000);

  test('each container of a task is reached by its name', () => {
    expect(tepui('logs', 'pair').stdout).toBe('from left\n');
    expect(tepui('logs', 'pair', '-c', 'right', '--stdout').stdout).toBe('from right\n');
    const all = tepui('logs', 'pair', '--all-containers');
    expect(all.stdout.split('\n').sort()).toEqual(['', '[pair left] from left', '[pair right] from right']);
    expect(all.stderr).toBe('[pair right] wrong\n');
    expect(tepui('exec', 'pair', '-c', 'right', '--', 'sh', '-c', 'echo $TEPUI_CONTAINER_NAME').stdout).toBe('right\n');
    expect(tepui('logs', 'pair', '-c', 'none')).toMatchObject({
      status: 5,
      stderr: expect.stringContaining('it has left, right'),
    });
    expect(tepui('stats', 'pair').stdout).toMatch(/default +pair +left [\s\S]*default +pair +right /);
  }, 60_000);

  test('the tasks of a framework are followed, those that come later too, until the Job is over', async () => {
    const container = { name: 'main', shell: 'echo hello from $TEPUI_TASK_NAME; sleep 1', resources };
    const spec = { type: 'Job', job: { completions: 3, parallelism: 1 } };
    apply('steps', { ...spec, template: { spec: { containers: [container] } } }, 'Framework');
    const { stdout, stderr, status } = tepui('logs', '-f', 'framework/steps');
    const lines = stdout.trim().split('\n');
    expect([status, stderr, new Set(lines).size]).toEqual([0, '', 3]);
    for (const line of lines) expect(line).toMatch(/^\[(\S+)\] hello from \1$/);
    expect(tepui('logs', '-f', 'framework/none').status).toBe(5);
  }, 60_000);

  test('the tasks of a framework are read together', async () => {
    const container = { name: 'main', shell: 'echo hello from $TEPUI_TASK_NAME; exec sleep 1000', resources };
    apply('web', { type: 'Service', replicas: 2, template: { spec: { containers: [container] } } }, 'Framework');
    await eventually('both lines', () => {
      const lines = tepui('logs', 'framework/web').stdout.trim().split('\n');
      return (lines.length === 2 && lines.every((line) => /^\[(\S+)\] hello from \1$/.test(line))) || undefined;
    });
    expect(tepui('logs', 'framework/none').status).toBe(5);
  }, 60_000);

  test('kill ends a task, waits for the end, and may be repeated', () => {
    expect(tepui('kill', 'ticker', 'pair', '--grace-period', '1')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^task \w+ is Killed\ntask \w+ is Killed\n$/),
    });
    expect(tepui('kill', 'ticker').stdout).toBe('task ticker is Killed\n');
    expect(tepui('freeze', 'ticker')).toMatchObject({
      status: 125,
      stderr: expect.stringContaining('has ended (Killed)'),
    });
    expect(tepui('kill', 'nosuch').status).toBe(5);
  }, 60_000);
});
