import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Task } from '../../../controllers/machinery/client/resources.ts';
import { isTerminal } from '../../../runtime/agent/tasks/status.ts';
import { NAMESPACE, noContainers, type Platform, startPlatform } from './support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;
const program = (name: string) => new URL(`support/${name}.ts`, import.meta.url).pathname;
/** Every how many steps the agent is killed; 1 takes all of them. */
const stride = Number(process.env.TEPUI_CRASH_STRIDE ?? 16);
/** The usual launch has about this many. */
const mostSteps = Number(process.env.TEPUI_CRASH_LAST ?? 120);

suite('an agent that is killed in the launch of a task group', () => {
  let platform: Platform;
  const processes: ChildProcess[] = [];
  beforeAll(async () => {
    platform = await startPlatform();
  }, 60_000);
  afterAll(async () => {
    for (const child of processes) await ended(child, 'SIGKILL');
    await platform.close();
  }, 60_000);

  function start(name: string, env = {}): ChildProcess {
    const { kubeconfig, dataDir, agentName, runtimeRoot } = platform;
    const child = spawn(process.execPath, [program(name), kubeconfig, dataDir, agentName, runtimeRoot], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    processes.push(child);
    return child;
  }
  const isGone = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;
  async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    if (isGone(child)) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await closed;
  }

  test('at any step, starts no container twice, loses no exit code, keeps the order, and leaves nothing', async () => {
    const names: string[] = [];
    for (let step = Number(process.env.TEPUI_CRASH_FIRST ?? 1); step < mostSteps; step += stride) {
      const child = start('crashing-agent-process', { TEPUI_CRASH_AT: String(step) });
      const name = `crash-${step}`;
      names.push(name);
      const ran = 'echo ran; echo $TEPUI_CONTAINER_NAME >> shared/order';
      const mounts = { volumeMounts: [{ name: 'v', mountPath: 'shared' }] };
      await platform.createTask(
        name,
        {},
        {
          volumes: [{ name: 'v', sandboxPath: { type: 'Parent', path: 'common' } }],
          initContainers: [{ name: 'init', shell: ran, ...mounts }],
          containers: [
            { name: 'one', shell: `${ran}; sleep 0.2`, ...mounts },
            { name: 'two', shell: `${ran}; exit 0`, dependsOn: [{ name: 'one', condition: 'Completed' }], ...mounts },
          ],
        },
      );
      const isEnded = async () => isTerminal((await platform.task(name))?.status?.state);
      for (let tries = 0; !isGone(child) && !(await isEnded()) && tries < 3000; tries += 1) await sleep(10);
      // It came through the whole life of the task in fewer steps than it was to die at.
      const cameThrough = !isGone(child) && (await isEnded());
      await ended(child, 'SIGKILL');
      if (cameThrough && step > stride) break;
    }
    const last = start('agent-process');
    const outcomes: Record<string, number> = {};
    for (const name of names) {
      const { status } = await platform.until(name, (task) => isTerminal(task.status?.state), 60_000);
      outcomes[status!.state!] = (outcomes[status!.state!] ?? 0) + 1;
      const runs = join(platform.dataDir, `agent/sandboxes/${NAMESPACE}/${name}/runs`);
      expect([name, existsSync(runs) ? readdirSync(runs).length : 0]).toEqual([name, 1]);
      const sandbox = status!.sandboxPath!;
      const output = (container: string, file = 'stdout') => {
        const path = join(sandbox, 'containers', container, file);
        return existsSync(path) ? readFileSync(path, 'utf8') : '';
      };
      const errors = () => ['init', 'one', 'two'].map((container) => output(container, 'stderr')).join('');
      for (const container of ['init', 'one', 'two'])
        expect([name, ['', 'ran\n'].includes(output(container))]).toEqual([name, true]);
      const order = existsSync(join(sandbox, 'common/order'))
        ? readFileSync(join(sandbox, 'common/order'), 'utf8')
        : '';
      expect('init\none\ntwo\n'.startsWith(order)).toBe(true);
      if (status!.state === 'Finished') expect([name, order]).toEqual([name, 'init\none\ntwo\n']);
      // Cut in a launch of which nobody can say whether it ran: said so, and not started again.
      else if (!['AgentRestarted', 'ExecutorTerminated'].includes(status!.reason ?? ''))
        throw new Error(`${name} ended otherwise: ${JSON.stringify([status, errors()], null, 1)}`);
    }
    process.stderr.write(`killed at ${names.length} steps: ${JSON.stringify(outcomes)}\n`);
    expect(names.length).toBeGreaterThan(1);
    for (const name of names) await platform.client.delete(Task, { namespace: NAMESPACE, name });
    for (const name of names) await platform.untilDeleted(name);
    await ended(last, 'SIGTERM');
    expect(readdirSync(join(platform.dataDir, 'agent/containers'))).toEqual([]);
    expect(readdirSync(join(platform.dataDir, 'agent/meta/tasks'))).toEqual([]);
    const runtime = join(platform.runtimeRoot, readdirSync(platform.runtimeRoot)[0]!);
    for (const part of ['launches', 'groups', 'tasks'])
      expect([part, existsSync(join(runtime, part)) ? readdirSync(join(runtime, part)) : []]).toEqual([part, []]);
  }, 600_000);
});
