/**
 * Launching /bin/true in full isolation and reaping it: the resident launcher against `crun run` and `runc run` with the same namespaces,
 * cgroup limits (cpu, memory, pids), mounts, masks and root file system. Interleaved rounds; medians and ratios. Then launches per second
 * and the memory of supervisors. Needs root, cc, busybox-static, crun, runc. `node bench/launch.ts [--rounds N] [--json]`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connectLauncher, type Launcher } from '../runtime/launcher/client.ts';
import { compileSeccompProfile, defaultSeccompProfile } from '../runtime/seccomp/compile.ts';
import { cpuTimes, makeBenchBed, makeGroup, median, percentile } from './launch/bed.ts';
import { followEnds, launchOnce, type NativeOptions, nativeRequest } from './launch/native.ts';
import { ociPeer, type Peer } from './launch/oci.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '8' }, json: { type: 'boolean', default: false } },
});
const PER_ROUND = 10;
const bed = await makeBenchBed();
// As with a real agent: per-boot state and the launcher's socket on tmpfs, logs and exit records on the disk.
const runtimeDir = mkdtempSync('/dev/shm/tepui-bench-');
const disk = join(bed.dir, 'home');
mkdirSync(disk);
const memory = join(runtimeDir, 'home');
mkdirSync(memory);
const launcher = await connectLauncher({ runtimeDir });
followEnds(launcher);
try {
  const report = { latency: await latency(), sustained: await sustained(), memory: await idleMemory(40) };
  if (values.json) console.log(JSON.stringify(report));
} finally {
  await launcher.shutdownIfIdle();
  launcher.close();
  bed.remove();
  rmSync(runtimeDir, { recursive: true, force: true });
}

async function latency(): Promise<object[]> {
  const seccomp = await compileSeccompProfile(defaultSeccompProfile(), { capabilities: [] });
  const native = (name: string, options: NativeOptions): Peer => ({
    name,
    async times(count) {
      const times: number[] = [];
      for (let i = 0; i < count; i++) times.push(await launchOnce(launcher, bed, options));
      return times;
    },
  });
  const pool = Array.from({ length: 10 }, (_, i) => makeGroup(`tepui-bench-pool-${process.pid}-${i}`));
  const contenders: Peer[] = [
    native('tepui', { home: disk }),
    native('tepui + seccomp', { home: disk, seccomp }),
    native('tepui + seccomp + init', { home: disk, seccomp, init: true }),
    native('tepui + seccomp + own user ids', { home: disk, seccomp, ownIds: true }),
    native('tepui + seccomp + image', { home: disk, seccomp, image: true }),
    native('tepui + seccomp + image + own user ids', { home: disk, seccomp, image: true, ownIds: true }),
    native('tepui + seccomp, pooled cgroups', { home: disk, seccomp, pool }),
    native('tepui + seccomp, exit record on tmpfs', { home: memory, seccomp }),
  ];
  for (const [runtime, filter] of [
    ['crun', false],
    ['crun', true],
    ['runc', false],
  ] as const) {
    const peer = await ociPeer(bed, runtime, filter);
    if ('why' in peer) console.log(`${peer.name}: left out: ${peer.why}`);
    else contenders.push(peer);
  }
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (const { times: warmUp } of contenders) await warmUp(3);
  const before = cpuTimes();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { name, times: take } of contenders) times.get(name)!.push(...(await take(PER_ROUND)));
  }
  const after = cpuTimes();
  for (const group of pool) group.remove();
  console.log(
    `\nLaunch /bin/true and reap it, ms (${values.rounds} rounds of ${PER_ROUND}; machine ${Math.round(((after.busy - before.busy) / (after.total - before.total)) * 100)} % busy)`,
  );
  const peer = median(times.get('crun run') ?? []);
  return contenders.map(({ name }) => {
    const all = times.get(name)!;
    const [p50, p90, min] = [median(all), percentile(all, 0.9), Math.min(...all)].map((us) => us / 1000) as [
      number,
      number,
      number,
    ];
    const ratio = (p50 * 1000) / peer;
    console.log(
      `  ${name.padEnd(40)} min ${min.toFixed(2).padStart(6)}  p50 ${p50.toFixed(2).padStart(6)}  p90 ${p90.toFixed(2).padStart(6)}  ${ratio.toFixed(2)} x crun`,
    );
    return { name, min, p50, p90, ratioToCrun: ratio };
  });
}

async function sustained(): Promise<object[]> {
  console.log('\nSustained launches per second (network namespace, cgroups made and removed each time)');
  const results: object[] = [];
  for (const concurrency of [1, 2, 8]) {
    let left = 400;
    const start = performance.now();
    const worker = async (): Promise<void> => {
      while (left-- > 0) await launchOnce(launcher, bed, { home: disk });
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    const perSecond = 400 / ((performance.now() - start) / 1000);
    console.log(`  ${concurrency} at a time: ${perSecond.toFixed(0)}`);
    results.push({ concurrency, perSecond });
  }
  return results;
}

async function idleMemory(count: number): Promise<object> {
  const group = makeGroup(`tepui-bench-${process.pid}-idle`);
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const request = nativeRequest(bed, { home: disk }, group, ['/bin/sleep', '1000']);
    ids.push(request.containerId);
    await launcher.launch(request);
  }
  const supervisors = (await launcher.list()).map((entry) => memoryOf(entry.supervisorPid));
  const mean = (name: 'Pss' | 'Rss' | 'Anonymous'): number =>
    supervisors.reduce((sum, each) => sum + each[name], 0) / count / 1024;
  const result = { pssMiB: mean('Pss'), rssMiB: mean('Rss'), anonymousMiB: mean('Anonymous') };
  console.log(
    `\nSupervisor memory over ${count} idle containers, MiB each: PSS ${result.pssMiB.toFixed(3)}, RSS ${result.rssMiB.toFixed(2)}, anonymous ${result.anonymousMiB.toFixed(3)}`,
  );
  for (const id of ids) await launcher.signal(id, 9);
  await emptied(launcher);
  group.remove();
  return result;
}

async function emptied(from: Launcher): Promise<void> {
  while ((await from.list()).length > 0) await sleep(10);
}

function memoryOf(pid: number): Record<'Pss' | 'Rss' | 'Anonymous', number> {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
  return { Pss: field('Pss'), Rss: field('Rss'), Anonymous: field('Anonymous') };
}
