/**
 * The limits that this process itself is under. An agent in a container or a systemd slice must not offer what its own cgroup would refuse.
 * Works for cgroup v1, hybrid and v2, with and without a cgroup namespace.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseMountInfo } from '../host/mount-info.ts';

export interface OwnCgroupLimits {
  /** CFS quota in cores; absent when unlimited. */
  cpus?: number;
  memoryBytes?: number;
}

/** v1 reports "no limit" as the largest page-aligned integer; anything above this is no limit. */
const UNLIMITED = 2 ** 60;

interface Mount {
  root: string;
  path: string;
  controllers: string[];
  version: 1 | 2;
}

/** Reads the tightest limit between this process's cgroup and the root. Unreadable files count as no limit. */
export async function readOwnCgroupLimits(procRoot = '/proc'): Promise<OwnCgroupLimits> {
  const [membership, mountInfo] = await Promise.all([
    readText(join(procRoot, 'self/cgroup')),
    readText(join(procRoot, 'self/mountinfo')),
  ]);
  const mounts = cgroupMounts(mountInfo ?? '');
  const cpus: number[] = [];
  const memory: number[] = [];
  for (const line of (membership ?? '').split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names === undefined || path === undefined) continue;
    const mount = mounts.find((m) =>
      names === '' ? m.version === 2 : m.controllers.includes(names.split(',')[0] ?? ''),
    );
    if (mount === undefined) continue;
    for (const directory of ancestors(mount, path)) {
      if (mount.version === 2) await readVersion2(directory, cpus, memory);
      else if (mount.controllers.includes('cpu')) await readVersion1Cpu(directory, cpus);
      else if (mount.controllers.includes('memory')) await readVersion1Memory(directory, memory);
    }
  }
  return {
    ...(cpus.length > 0 && { cpus: Math.min(...cpus) }),
    ...(memory.length > 0 && { memoryBytes: Math.min(...memory) }),
  };
}

async function readVersion2(directory: string, cpus: number[], memory: number[]): Promise<void> {
  const [cpuMax, memoryMax] = await Promise.all([
    readText(join(directory, 'cpu.max')),
    readText(join(directory, 'memory.max')),
  ]);
  const [quota, period] = (cpuMax ?? 'max').trim().split(/\s+/);
  if (quota !== undefined && quota !== 'max') cpus.push(Number(quota) / Number(period ?? 100_000));
  if (memoryMax !== undefined && memoryMax.trim() !== 'max') memory.push(Number(memoryMax));
}

async function readVersion1Cpu(directory: string, cpus: number[]): Promise<void> {
  const [quota, period] = await Promise.all([
    readText(join(directory, 'cpu.cfs_quota_us')),
    readText(join(directory, 'cpu.cfs_period_us')),
  ]);
  if (Number(quota ?? -1) > 0 && Number(period ?? 0) > 0) cpus.push(Number(quota) / Number(period));
}

async function readVersion1Memory(directory: string, memory: number[]): Promise<void> {
  const limit = Number((await readText(join(directory, 'memory.limit_in_bytes'))) ?? Number.NaN);
  if (limit > 0 && limit < UNLIMITED) memory.push(limit);
}

/** The directories from the process's cgroup up to the mount point. A path outside the mount's root (no cgroup namespace) means the mount point itself. */
function ancestors(mount: Mount, path: string): string[] {
  const relative = mount.root === '/' ? path : path.startsWith(`${mount.root}/`) ? path.slice(mount.root.length) : '/';
  const directories: string[] = [];
  let current = join(mount.path, relative.includes('..') ? '/' : relative).replace(/\/$/, '');
  while (current.length >= mount.path.length) {
    directories.push(current);
    current = dirname(current);
  }
  return directories;
}

/** Binds of subgroups too: without a cgroup namespace they are what a container sees. */
function cgroupMounts(mountInfo: string): Mount[] {
  return parseMountInfo(mountInfo).flatMap(({ root, path, fsType, superOptions }): Mount[] => {
    if (fsType === 'cgroup2') return [{ root, path, controllers: [], version: 2 }];
    return fsType === 'cgroup' ? [{ root, path, controllers: superOptions, version: 1 }] : [];
  });
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}
