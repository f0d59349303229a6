/**
 * Containers through the containerizers that an agent uses, beside the commands that people know: launch, end and removal of `true`, 200 of them eight
 * at a time, and 500 idle ones on one agent. Needs root and cc; crun, runc, podman and docker are measured where they are.
 * `node bench/containers.ts [--rounds N] [--idle N]`.
 */
import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { pino } from 'pino';
import type { Task } from '../crds/types.generated.ts';
import type { Containerizer, LaunchSpec } from '../runtime/containerizers/containerizer.ts';
import { createNativeContainerizer } from '../runtime/containerizers/native/containerizer.ts';
import { createOciContainerizer } from '../runtime/containerizers/oci/containerizer.ts';
import { connectLauncher } from '../runtime/launcher/client.ts';
import { median, percentile } from './launch/bed.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '30' }, idle: { type: 'string', default: '500' } },
});
const run = promisify(execFile);
const nobody = { uid: 65534, gid: 65534, supplementalGids: [], name: 'nobody', home: '/nonexistent' };

interface Contender {
  name: string;
  once(): Promise<void>;
}

const dataDir = mkdtempSync('/var/lib/tepui-bench-');
const runtimeDir = mkdtempSync('/run/tepui-bench-');
const options = {
  dataDir,
  runtimeDir,
  cgroupRoot: `tepui-bench-${process.pid}/node`,
  logger: pino({ level: 'silent' }),
};
const native = await createNativeContainerizer(options);
const opened: { containerizer: Containerizer; launcherDir: string }[] = [
  { containerizer: native, launcherDir: runtimeDir },
];
try {
  const contenders: Contender[] = [{ name: 'tepui native', once: () => once(native) }];
  for (const runtime of ['crun', 'runc']) {
    if (!isThere(runtime)) continue;
    const own = join(runtimeDir, runtime);
    const containerizer = await createOciContainerizer({
      ...options,
      dataDir: mkdtempSync(join(dataDir, 'oci-')),
      runtimeDir: own,
      cgroupRoot: `tepui-bench-${process.pid}/${runtime}`,
      runtime,
    });
    opened.push({ containerizer, launcherDir: join(own, 'oci') });
    contenders.push({ name: `tepui oci with ${runtime}`, once: () => once(containerizer) });
  }
  contenders.push(...commands());
  await latency(contenders);
  await sustained(contenders);
  await idle(Number(values.idle));
} finally {
  for (const { containerizer, launcherDir } of opened) {
    await containerizer.close();
    const launcher = await connectLauncher({ runtimeDir: launcherDir });
    for (let attempt = 0; attempt < 100 && !(await launcher.shutdownIfIdle()); attempt++) await sleep(50);
    launcher.close();
  }
  rmSync(dataDir, { recursive: true, force: true });
  rmSync(runtimeDir, { recursive: true, force: true });
}

function spec(command: string[]): LaunchSpec {
  const containerId = randomUUID();
  const sandbox = join(dataDir, 'agent/sandboxes', containerId);
  mkdirSync(sandbox, { recursive: true });
  chownSync(sandbox, nobody.uid, nobody.gid);
  const container = { name: 'main', command };
  return {
    containerId,
    task: {
      metadata: { name: 'bench' },
      spec: { containers: [container], network: { mode: 'None' } },
    } as unknown as Task,
    container,
    sandbox,
    env: { PATH: '/usr/bin:/bin' },
    user: nobody,
    mounts: [],
    resources: { requests: { cpus: 0.1, memBytes: 32 << 20 }, limits: {} },
  };
}

async function once(containerizer: Containerizer): Promise<void> {
  const launch = spec(['true']);
  await containerizer.launch(launch);
  await containerizer.wait(launch.containerId);
  await containerizer.destroy(launch.containerId);
}

/** Podman raises its containers' limits by itself, which root without CAP_SYS_RESOURCE may not. */
function podmanLimits(): string[] {
  return ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000'];
}

/** Whole commands, with an image that they have already. Without one they are left out. */
function commands(): Contender[] {
  const image = process.env.TEPUI_BENCH_IMAGE ?? 'busybox';
  return ['podman', 'docker'].flatMap((name) => {
    const args = [
      'run',
      '--rm',
      '--network',
      'none',
      '--pull',
      'never',
      ...(name === 'podman' ? podmanLimits() : []),
      image,
      'true',
    ];
    const [program, ...whole] = name === 'podman' ? withoutUnified(['podman', ...args]) : [name, ...args];
    const tried = isThere(name) ? spawnSync(program!, whole, { encoding: 'utf8' }) : undefined;
    if (tried?.status !== 0) {
      console.log(`${name} run: left out: ${tried ? tried.stderr.trim().split('\n')[0] : 'not installed'}`);
      return [];
    }
    return [{ name: `${name} run`, once: async () => void (await run(program!, whole)) }];
  });
}

/** crun, which podman runs, refuses a host that has v2 beside v1, unless it does not see it. */
function withoutUnified(command: string[]): string[] {
  const unified = '/sys/fs/cgroup/unified';
  return existsSync(unified)
    ? ['unshare', '--mount', 'sh', '-c', `umount ${unified} && exec "$0" "$@"`, ...command]
    : command;
}

async function latency(contenders: Contender[]): Promise<void> {
  const times = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  for (const { once: warmUp } of contenders) for (let i = 0; i < 3; i++) await warmUp();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { name, once: take } of contenders) {
      const began = performance.now();
      await take();
      times.get(name)!.push(performance.now() - began);
    }
  }
  const base = median(times.get('tepui native')!);
  console.log(`\nLaunch, end and removal of \`true\`, network none, ms (${values.rounds} rounds, interleaved)`);
  for (const [name, taken] of times)
    console.log(
      `  ${name.padEnd(24)} p50 ${median(taken).toFixed(1).padStart(7)}  p99 ${percentile(taken, 0.99).toFixed(1).padStart(7)}  ${(median(taken) / base).toFixed(1)} x native`,
    );
}

async function sustained(contenders: Contender[]): Promise<void> {
  console.log('\n200 containers, 8 at a time');
  for (const { name, once: take } of contenders) {
    let left = 200;
    const began = performance.now();
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        while (left-- > 0) await take();
      }),
    );
    const seconds = (performance.now() - began) / 1000;
    console.log(`  ${name.padEnd(24)} ${(200 / seconds).toFixed(0).padStart(5)} containers/s`);
  }
}

async function idle(count: number): Promise<void> {
  const before = process.memoryUsage().rss;
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const launch = spec(['sleep', '100000']);
    await native.launch(launch);
    ids.push(launch.containerId);
  }
  await sleep(2000);
  const own = process.cpuUsage();
  const launcherBefore = launcherTicks();
  await sleep(10_000);
  const { user, system } = process.cpuUsage(own);
  const launchers = (launcherTicks() - launcherBefore) / 100;
  const pss = launcherPids().reduce((sum, pid) => sum + pssOf(pid), 0);
  console.log(`\n${count} idle containers on one agent`);
  console.log(`  launcher, supervisors and inits: ${(pss / count).toFixed(0)} KiB PSS per container`);
  console.log(
    `  containerizer in the agent: ${((process.memoryUsage().rss - before) / 1024 / count).toFixed(0)} KiB RSS per container`,
  );
  console.log(
    `  processor: agent ${(((user + system) / 1e7) * 100).toFixed(2)} %, launcher and supervisors ${((launchers / 10) * 100).toFixed(2)} % of a core`,
  );
  for (const id of ids) await native.destroy(id);
}

/** Launcher, supervisors and inits have the runtime directory, or the init's name, in their command line. */
function launcherPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const line = read(`/proc/${pid}/cmdline`);
      return line.includes(runtimeDir) || line.startsWith('tepui-init');
    });
}

function pssOf(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
}

/** User and system time in ticks of 10 ms. */
function launcherTicks(): number {
  return launcherPids().reduce((sum, pid) => {
    const stat = read(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return sum + Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }, 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function isThere(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
}
