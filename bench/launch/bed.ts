/** What the launch benchmark runs on: one root file system, the same limits and namespaces for every contender. */
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const run = promisify(execFile);

export const limits = { cpuQuotaUs: 100_000, cpuPeriodUs: 100_000, memoryBytes: 128 << 20, pids: 64 };
export const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/sys/firmware',
  '/proc/scsi',
];
export const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export interface BenchBed {
  dir: string;
  rootfs: string;
  /** The C helper that times spawned commands. */
  spawnTimes: string;
  remove(): void;
}

export async function makeBenchBed(parent = tmpdir()): Promise<BenchBed> {
  const busybox = ['/usr/bin/busybox', '/bin/busybox'].find(existsSync);
  if (!busybox) throw new Error('busybox is needed for the root file system: apt-get install busybox-static');
  const dir = mkdtempSync(join(parent, 'tepui-bench-'));
  const rootfs = join(dir, 'rootfs');
  for (const name of ['bin', 'proc', 'sys', 'dev', 'tmp', 'etc']) mkdirSync(join(rootfs, name), { recursive: true });
  cpSync(busybox, join(rootfs, 'bin/busybox'));
  for (const name of ['true', 'sleep', 'sh']) symlinkSync('busybox', join(rootfs, 'bin', name));
  const spawnTimes = join(dir, 'spawn-times');
  await run('cc', ['-O2', '-static', '-o', spawnTimes, fileURLToPath(new URL('spawn-times.c', import.meta.url))]);
  return { dir, rootfs, spawnTimes, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** The groups of one container, as an isolator would make them: with limits, ready to be joined. */
export interface Group {
  tasks: string[];
  cloneIntoCgroup?: string;
  remove(): void;
}

const root = '/sys/fs/cgroup';
export const isV2 = existsSync(`${root}/cgroup.controllers`);

export function makeGroup(name: string): Group {
  if (isV2) {
    const dir = `${root}/${name}`;
    mkdirSync(dir);
    writeFileSync(`${dir}/cpu.max`, `${limits.cpuQuotaUs} ${limits.cpuPeriodUs}`);
    writeFileSync(`${dir}/memory.max`, String(limits.memoryBytes));
    writeFileSync(`${dir}/pids.max`, String(limits.pids));
    return { tasks: [], cloneIntoCgroup: dir, remove: () => rmdirSync(dir) };
  }
  const dirs = ['cpu', 'memory', 'pids'].map((controller) => `${root}/${controller}/${name}`);
  for (const dir of dirs) mkdirSync(dir);
  writeFileSync(`${dirs[0]}/cpu.cfs_period_us`, String(limits.cpuPeriodUs));
  writeFileSync(`${dirs[0]}/cpu.cfs_quota_us`, String(limits.cpuQuotaUs));
  writeFileSync(`${dirs[1]}/memory.limit_in_bytes`, String(limits.memoryBytes));
  writeFileSync(`${dirs[2]}/pids.max`, String(limits.pids));
  return { tasks: dirs.map((dir) => `${dir}/tasks`), remove: () => dirs.forEach((dir) => void rmdirSync(dir)) };
}

export function median(values: number[]): number {
  return percentile(values, 0.5);
}

export function percentile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** Share of one core that was busy over a moment, to tell a quiet machine from a shared one. */
export function cpuTimes(): { busy: number; total: number } {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.trim().split(/\s+/).slice(1).map(Number);
  const total = fields.reduce((a, b) => a + b);
  return { busy: total - fields[3]! - fields[4]!, total };
}
