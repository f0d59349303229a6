import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { leftovers } from '../../cli/demo/leftovers.ts';
import { Task, Volume } from '../../controllers/machinery/client/resources.ts';
import { isTerminal } from '../../crds/task-states.ts';
import { eventually, startSystem, type TestSystem } from './harness.ts';

const CRASHES = Number(process.env.TEPUI_TEST_CRASHES ?? 100);
const IN_FLIGHT = 20;

let system: TestSystem;
beforeAll(async () => {
  system = await startSystem();
}, 60_000);
afterAll(async () => {
  await system?.stop();
}, 60_000);

test(`SIGKILL of the all-in-one process at ${CRASHES} random moments loses nothing acknowledged, runs nothing twice and loses no exit code`, async () => {
  await system.client.create(Volume, {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Volume',
    metadata: { name: 'runs', namespace: 'default' },
    spec: { size: '16Mi', access: 'Shared', bindingMode: 'Immediate' },
  });
  const runsDir = await eventually(
    'the volume',
    async () => (await system.client.get(Volume, { namespace: 'default', name: 'runs' }))?.status?.path,
  );
  const acknowledged = new Map<string, number>();
  const wrong: string[] = [];
  let created = 0;
  let ended = 0;

  for (let crash = 0; crash < CRASHES; crash++) {
    const alive = system.client;
    const moment = sleep(Math.random() * 1_500).then(() => system.kill());
    await Promise.race([moment, fill()]);
    await moment;
    expect(alive).toBe(system.client);
    await system.restart();
    const tasks = new Map(
      (await system.client.list(Task, { namespace: 'default' })).items.map((task) => [task.metadata?.name, task]),
    );
    for (const [name, exitCode] of acknowledged) {
      const task = tasks.get(name);
      if (!task) wrong.push(`${name}: acknowledged, and lost in crash ${crash}`);
      if (runs(name) > 1) wrong.push(`${name}: ran ${runs(name)} times`);
      if (!task || !isTerminal(task.status?.state)) continue;
      judge(name, exitCode, task);
      acknowledged.delete(name);
      await system.client.delete(Task, { namespace: 'default', name });
      ended++;
    }
    expect(wrong).toEqual([]);
  }
  for (const [name, exitCode] of acknowledged) {
    const task = await eventually(`task ${name} to end`, async () => {
      const found = await system.client.get(Task, { namespace: 'default', name });
      return isTerminal(found?.status?.state) ? found : undefined;
    });
    judge(name, exitCode, task);
    ended++;
  }
  expect(wrong).toEqual([]);
  expect(ended).toBeGreaterThan(CRASHES / 4);
  for (const { metadata } of (await system.client.list(Task, { namespace: 'default' })).items)
    await system.client.delete(Task, { namespace: 'default', name: metadata?.name as string });
  await eventually('all tasks to be gone', async () =>
    (await system.client.list(Task)).items.length === 0 ? true : undefined,
  );
  await system.stop();
  const left = leftovers(system.dataDir);
  expect(left).toEqual({ processes: [], cgroups: [], mounts: [], runtime: [] });

  /** Keeps twenty tasks in flight, until the API server dies under it. */
  async function fill(): Promise<void> {
    try {
      while (system.child.exitCode === null && system.child.signalCode === null) {
        const states = (await system.client.list(Task, { namespace: 'default' })).items;
        const flying = states.filter((task) => !isTerminal(task.status?.state)).length;
        for (let more = flying; more < IN_FLIGHT; more++) await createTask();
        await sleep(20);
      }
    } catch {
      // Killed.
    }
  }

  async function createTask(): Promise<void> {
    const number = created++;
    const name = `crash-${number}`;
    const exitCode = number % 5;
    const script = `echo run >> runs/${name}; sleep 0.${number % 10}; exit ${exitCode}`;
    await system.client.create(Task, {
      apiVersion: 'tepui.dev/v1alpha1',
      kind: 'Task',
      metadata: { name, namespace: 'default' },
      spec: {
        volumes: [{ name: 'runs', volume: { volumeName: 'runs' } }],
        containers: [
          {
            name: 'main',
            shell: script,
            volumeMounts: [{ name: 'runs', mountPath: 'runs' }],
            resources: { requests: { cpus: '10m', mem: '16Mi' } },
          },
        ],
      },
    });
    acknowledged.set(name, exitCode);
  }

  function runs(name: string): number {
    const file = join(runsDir, name);
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
  }

  /** A task that ran must have its own exit code; one that never ran may be given up, but must say so. */
  function judge(name: string, exitCode: number, task: Task): void {
    const { state, exitCode: seen, reason, message } = task.status ?? {};
    const text = `${name}: ran ${runs(name)} times, ended as ${state} ${reason ?? ''} with ${seen}, expected ${exitCode} (${message ?? ''})`;
    if (
      runs(name) === 1
        ? seen !== exitCode || state !== (exitCode === 0 ? 'Finished' : 'Failed')
        : !(runs(name) === 0 && (state === 'Dropped' || state === 'Failed') && seen === undefined)
    )
      wrong.push(text);
  }
}, 1_800_000);
