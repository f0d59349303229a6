/**
 * Writes per second and their latency through HTTPS with 1 and 50 clients, and the fan-out of events to many watchers. Beside each run the fsync cost
 * of the same disk is measured; a genuine Kubernetes API server (../shared/tools/real-apiserver.sh, flavour crd) is the peer where it is there.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from 'undici';
import { parse } from 'yaml';

const seconds = Number(process.env.BENCH_SECONDS ?? 5);
const watchers = Number(process.env.BENCH_WATCHERS ?? 1000);
const peerScript = new URL('../../shared/tools/real-apiserver.sh', import.meta.url).pathname;

interface Target {
  name: string;
  url: string;
  token: string;
  ca: string | undefined;
}

interface Figures {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

async function main(): Promise<void> {
  // Beside the checkout, not on /tmp, which may be a tmpfs: the disk is what this is about.
  const directory = mkdtempSync(join(process.cwd(), '.bench-apiserver-'));
  let server: ChildProcess | undefined;
  try {
    server = spawn(
      process.execPath,
      [new URL('fixtures/apiserver-process.ts', import.meta.url).pathname, join(directory, 'data')],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const [line] = (await once(server.stdout!, 'data')) as [Buffer];
    const fsync = fsyncMs(directory);
    console.log(`fdatasync of 4 KiB appended: p50 ${fsync.p50Ms.toFixed(2)} ms, p99 ${fsync.p99Ms.toFixed(2)} ms`);
    await measure(targetOf('tepui', line.toString().trim()));
    console.log(`tepui memory: ${residentMiB(server.pid!)} MiB RSS`);
    server.kill('SIGTERM');
    await once(server, 'exit');
    await measurePeer(directory);
  } finally {
    if (server?.exitCode === null) server.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(target: Target): Promise<void> {
  await createCrd(target);
  await measureWrites(target, 1, 1);
  for (const clients of [1, 50]) {
    const { perSecond, p50Ms, p99Ms } = await measureWrites(target, clients, seconds);
    console.log(
      `${target.name}: ${clients} client(s): ${Math.round(perSecond)} durable writes/s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`,
    );
  }
  const fanOut = await measureFanOut(target, watchers);
  console.log(
    `${target.name}: ${watchers} watchers: ${Math.round(fanOut.perSecond)} events/s delivered, last watcher has a single event after p50 ${fanOut.p50Ms.toFixed(1)} ms`,
  );
}

async function measurePeer(directory: string): Promise<void> {
  if (!existsSync(peerScript) || process.env.BENCH_PEER === '0') {
    console.log('peer: not measured (no real-apiserver.sh, or BENCH_PEER=0)');
    return;
  }
  const running = spawnSync(peerScript, ['status'], { encoding: 'utf8' }).stdout;
  if (/^crd kube-apiserver/m.test(running)) {
    console.log('peer: not measured (it is in use by something else)');
    return;
  }
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  // Its etcd is to write to the same disk.
  const scratch = process.env.K8S_SCRATCH ?? '/tmp/k8s';
  const started = spawnSync(peerScript, ['start', String(port), 'crd'], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (started.status !== 0) {
    console.log('peer: did not start');
    return;
  }
  try {
    const fsync = fsyncMs(directory);
    console.log(`fdatasync beside the peer: p50 ${fsync.p50Ms.toFixed(2)} ms, p99 ${fsync.p99Ms.toFixed(2)} ms`);
    await measure(targetOf('kube-apiserver (crd) + etcd', join(scratch, 'kubeconfig')));
  } finally {
    spawnSync(peerScript, ['stop', 'crd'], { stdio: 'ignore' });
  }
}

function targetOf(name: string, kubeconfig: string): Target {
  const config = parse(readFileSync(kubeconfig, 'utf8')) as {
    clusters: { cluster: { server: string; 'certificate-authority-data'?: string } }[];
    users: { user: { token?: string } }[];
  };
  const { cluster } = config.clusters[0]!;
  const data = cluster['certificate-authority-data'];
  return {
    name,
    url: cluster.server,
    token: config.users[0]?.user.token ?? 'admin',
    ca: data && Buffer.from(data, 'base64').toString(),
  };
}

function poolOf(target: Target, connections: number): Pool {
  const connect = target.ca ? { ca: target.ca } : { rejectUnauthorized: false };
  return new Pool(target.url, { connections, pipelining: 1, connect, bodyTimeout: 0 });
}

function headersOf(target: Target): Record<string, string> {
  return { authorization: `Bearer ${target.token}`, 'content-type': 'application/json' };
}

const collection = '/apis/bench.tepui.dev/v1/namespaces/default/widgets';

async function createCrd(target: Target): Promise<void> {
  const schema = {
    type: 'object',
    properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  };
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.bench.tepui.dev' },
    spec: {
      group: 'bench.tepui.dev',
      scope: 'Namespaced',
      names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  };
  const pool = poolOf(target, 1);
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const made = await pool.request({ path, method: 'POST', headers: headersOf(target), body: JSON.stringify(crd) });
  const text = await made.body.text();
  if (made.statusCode !== 201 && made.statusCode !== 409) throw new Error(`the CRD was refused: ${text}`);
  for (let attempt = 0; attempt < 100; attempt++) {
    const answer = await pool.request({ path: collection, method: 'GET', headers: headersOf(target) });
    await answer.body.dump();
    if (answer.statusCode === 200) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await pool.close();
}

/** About 1 KiB, like a small Task. */
function widget(): string {
  return JSON.stringify({
    apiVersion: 'bench.tepui.dev/v1',
    kind: 'Widget',
    metadata: { generateName: 'w-', labels: { app: 'bench' } },
    spec: { text: 'x'.repeat(700), number: 42, list: [1, 2, 3] },
  });
}

async function measureWrites(target: Target, clients: number, forSeconds: number): Promise<Figures> {
  const pool = poolOf(target, clients);
  const headers = headersOf(target);
  const body = widget();
  const latencies: number[] = [];
  const start = performance.now();
  const end = start + forSeconds * 1000;
  const client = async () => {
    while (performance.now() < end) {
      const sent = performance.now();
      const answer = await pool.request({ path: collection, method: 'POST', headers, body });
      const text = await answer.body.text();
      if (answer.statusCode !== 201) throw new Error(`create answered ${answer.statusCode}: ${text.slice(0, 300)}`);
      latencies.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const perSecond = latencies.length / ((performance.now() - start) / 1000);
  await pool.close();
  return { perSecond, ...percentiles(latencies) };
}

/** Many watchers of one collection: 30 single events, each timed until the last watcher has it. */
async function measureFanOut(target: Target, count: number): Promise<Figures> {
  const pool = poolOf(target, count + 1);
  const headers = headersOf(target);
  const list = await pool.request({ path: `${collection}?limit=1`, method: 'GET', headers });
  const { metadata } = (await list.body.json()) as { metadata: { resourceVersion: string } };
  let received = 0;
  let wanted = 0;
  let reached: () => void = () => {};
  const path = `${collection}?watch=true&resourceVersion=${metadata.resourceVersion}`;
  const streams = await Promise.all(
    Array.from({ length: count }, async () => {
      const { body } = await pool.request({ path, method: 'GET', headers });
      body.on('error', () => {});
      body.on('data', (chunk: Buffer) => {
        for (const byte of chunk) if (byte === 10) received += 1;
        if (received >= wanted) reached();
      });
      return body;
    }),
  );
  const latencies: number[] = [];
  const start = performance.now();
  for (let round = 0; round < 30; round++) {
    wanted += count;
    const all = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const sent = performance.now();
    const answer = await pool.request({ path: collection, method: 'POST', headers, body: widget() });
    await answer.body.dump();
    if (received < wanted) await all;
    latencies.push(performance.now() - sent);
  }
  const perSecond = received / ((performance.now() - start) / 1000);
  for (const stream of streams) stream.destroy();
  await pool.destroy();
  return { perSecond, ...percentiles(latencies) };
}

function fsyncMs(directory: string): { p50Ms: number; p99Ms: number } {
  const path = join(directory, 'fsync-probe');
  const file = openSync(path, 'w');
  const page = Buffer.alloc(4096);
  const times: number[] = [];
  for (let i = 0; i < 300; i++) {
    writeSync(file, page);
    const start = performance.now();
    fdatasyncSync(file);
    times.push(performance.now() - start);
  }
  closeSync(file);
  rmSync(path);
  return percentiles(times);
}

function percentiles(values: number[]): { p50Ms: number; p99Ms: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

await main();
