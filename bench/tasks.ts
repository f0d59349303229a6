/**
 * Tasks through the whole system: `tepui up` (API server, controllers and agent in one process) as a user starts it, driven through its API.
 *
 * 1. idle: processor time and memory of the process with nothing to do.
 * 2. apply -> Running: one task at a time on an idle machine, from the create request until a watch shows Running.
 * 3. sustained: a Job of short tasks; tasks started and finished per second, as the Job's status counts them.
 *
 * There is no peer that does the same with one process; beside it stand the raw costs of the same run: an empty API write and an fsync.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApiClient } from '../controllers/machinery/client/api-client.ts';
import type { ApiClient } from '../controllers/machinery/client/client.ts';
import { loadClusterConfig } from '../controllers/machinery/client/kubeconfig.ts';
import { Agent, ConfigMap, Framework, Task } from '../controllers/machinery/client/resources.ts';
import { createInformer } from '../controllers/machinery/store/informer.ts';

const idleSeconds = Number(process.env.BENCH_IDLE_SECONDS ?? 20);
const latencyTasks = Number(process.env.BENCH_LATENCY_TASKS ?? 100);
const jobTasks = Number(process.env.BENCH_JOB_TASKS ?? 1500);
const parallelism = Number(process.env.BENCH_PARALLELISM ?? 40);
const TEPUI = new URL('../cli/tepui', import.meta.url).pathname;
const NAMESPACE = 'default';
/** User-mode and system-mode time in /proc/<pid>/stat count in these. */
const TICKS_PER_SECOND = 100;

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('containers need root');
  // Beside the checkout, not on /tmp, which may be a tmpfs: durable writes are part of what is measured.
  const dataDir = mkdtempSync(join(process.cwd(), '.bench-tasks-'));
  const up = spawn(TEPUI, ['up', '--data-dir', dataDir, '--port', '0', '--name', 'bench'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stopWatching = new AbortController();
  let client: ApiClient | undefined;
  try {
    await saysReady(up);
    client = createApiClient(await loadClusterConfig({ kubeconfig: join(dataDir, 'kubeconfig') }), { connections: 4 });
    while ((await client.get(Agent, { name: 'bench' }))?.status?.allocatable === undefined) await sleep(50);
    console.log(
      `fdatasync of 4 KiB appended: p50 ${percentile(fsyncTimes(dataDir), 50)} ms; API write: p50 ${percentile(await apiWriteTimes(client), 50)} ms`,
    );
    const states = followStates(client, stopWatching.signal);
    await states.synced;
    await measureIdle(up.pid!, 'after the start');
    await measureLatency(client, states);
    await measureSustained(client, up.pid!);
    await measureIdle(up.pid!, 'after the job');
  } finally {
    stopWatching.abort();
    await client?.close();
    up.kill('SIGTERM');
    await new Promise((resolve) => up.once('exit', resolve));
    const down = spawn(TEPUI, ['down', '--data-dir', dataDir], { stdio: ['ignore', 'ignore', 'inherit'] });
    await new Promise((resolve) => down.once('exit', resolve));
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function measureLatency(client: ApiClient, states: StateWatch): Promise<void> {
  const run = async (name: string): Promise<number> => {
    const begun = performance.now();
    const running = states.reached(name, 'Running');
    await client.create(Task, {
      metadata: { namespace: NAMESPACE, name },
      spec: { killPolicy: { gracePeriodSeconds: 0 }, containers: [{ name: 'main', command: ['sleep', '1000'] }] },
    });
    await running;
    const took = performance.now() - begun;
    await client.delete(Task, { namespace: NAMESPACE, name });
    await states.gone(name);
    return took;
  };
  for (let index = 0; index < 5; index += 1) await run(`warm-${index}`);
  const times: number[] = [];
  for (let index = 0; index < latencyTasks; index += 1) times.push(await run(`latency-${index}`));
  console.log(
    `apply -> Running seen by a watch: p50 ${percentile(times, 50)} ms, p99 ${percentile(times, 99)} ms (${latencyTasks} tasks, one at a time)`,
  );
}

async function measureSustained(client: ApiClient, pid: number): Promise<void> {
  const key = { namespace: NAMESPACE, name: 'sustained' };
  const cpuBefore = cpuSeconds(pid);
  const begun = performance.now();
  await client.create(Framework, {
    metadata: key,
    spec: {
      type: 'Job',
      job: { completions: jobTasks, parallelism },
      template: {
        spec: {
          containers: [{ name: 'main', command: ['true'], resources: { requests: { cpus: '10m', mem: '4Mi' } } }],
        },
      },
    },
  });
  const count = async (): Promise<number> => (await client.get(Framework, key))?.status?.succeeded ?? 0;
  for (let succeeded = 0; succeeded < jobTasks; succeeded = await count()) await sleep(100);
  const seconds = (performance.now() - begun) / 1000;
  const cpu = cpuSeconds(pid) - cpuBefore;
  console.log(
    `sustained: ${(jobTasks / seconds).toFixed(0)} tasks/s started and finished (Job of ${jobTasks}, ${parallelism} at a time, ` +
      `${((cpu / jobTasks) * 1000).toFixed(1)} ms processor time of the process per task, ${residentMiB(pid)} MiB RSS after it)`,
  );
  await client.delete(Framework, key);
  while ((await client.list(Task, { namespace: NAMESPACE, limit: 1 })).items.length > 0) await sleep(100);
}

async function measureIdle(pid: number, what: string): Promise<void> {
  // What was begun goes to its end first, and the memory of it is given back (after ten idle seconds).
  await sleep(20_000);
  const before = cpuSeconds(pid);
  await sleep(idleSeconds * 1000);
  const share = ((cpuSeconds(pid) - before) / idleSeconds) * 100;
  console.log(
    `idle, ${what}: ${share.toFixed(2)} % of a core over ${idleSeconds} s, ${residentMiB(pid)} MiB RSS (server, controllers and agent)`,
  );
}

interface StateWatch {
  synced: Promise<void>;
  reached(name: string, state: string): Promise<void>;
  gone(name: string): Promise<void>;
}

function followStates(client: ApiClient, signal: AbortSignal): StateWatch {
  const waiting = new Map<string, () => void>();
  const informer = createInformer({ client, resource: Task, namespace: NAMESPACE });
  informer.onChange(({ key, new: task }) =>
    waiting.get(`${key.name} ${task?.status?.state ?? (task ? '' : 'gone')}`)?.(),
  );
  void informer.start(signal);
  const wait = (what: string): Promise<void> =>
    new Promise((resolve) => {
      waiting.set(what, () => {
        waiting.delete(what);
        resolve();
      });
    });
  return {
    synced: informer.whenSynced(),
    reached: (name, state) => wait(`${name} ${state}`),
    gone: (name) => (informer.store.get({ namespace: NAMESPACE, name }) ? wait(`${name} gone`) : Promise.resolve()),
  };
}

function saysReady(up: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    up.stderr!.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('Ready')) resolve();
    });
    up.once('exit', (code) => reject(new Error(`tepui up ended with code ${code}`)));
  });
}

async function apiWriteTimes(client: ApiClient): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < 50; index += 1) {
    const begun = performance.now();
    await client.create(ConfigMap, {
      metadata: { namespace: NAMESPACE, name: `bench-${index}` },
      data: { index: String(index) },
    });
    times.push(performance.now() - begun);
    await client.delete(ConfigMap, { namespace: NAMESPACE, name: `bench-${index}` });
  }
  return times;
}

function fsyncTimes(directory: string): number[] {
  const path = join(directory, 'fsync-probe');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(4096, 1);
  const times = Array.from({ length: 50 }, () => {
    writeSync(file, block);
    const begun = performance.now();
    fdatasyncSync(file);
    return performance.now() - begun;
  });
  closeSync(file);
  rmSync(path);
  return times;
}

function percentile(values: number[], percent: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0).toFixed(1);
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kib ?? 0) / 1024);
}

await main();
