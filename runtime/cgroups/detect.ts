/** Finds out which cgroup hierarchies this host has mounted, and with which controllers. */
import { existsSync, readFileSync } from 'node:fs';
import { parseMountInfo } from '../host/mount-info.ts';
import { rootlessState } from '../rootless/state.ts';

export interface CgroupHost {
  /** `v2`: one unified hierarchy with controllers. `v1`: only v1. `hybrid`: v1 controllers and a v2 mount without them. */
  version: 'v1' | 'hybrid' | 'v2';
  /** Mount point of each controller's hierarchy; in `v2` all are the same directory. */
  controllers: Map<string, string>;
  /** Mount point of the v2 hierarchy, if there is one. */
  unified?: string;
}

/** The controllers without which tasks cannot be limited. */
export const requiredControllers = ['cpu', 'memory', 'pids'] as const;

/** What a user can do about a host on which containers cannot be limited. */
export class CgroupsUnavailable extends Error {
  override name = 'CgroupsUnavailable';
}

/**
 * Reads the cgroup layout from mountinfo. A controller is taken from the v2 mount when that has it, else from its v1 mount.
 * Throws CgroupsUnavailable when one of `requiredControllers` is in neither.
 */
export function detectCgroups(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): CgroupHost {
  const mounts = readCgroupMounts(mountinfo).filter((mount) => existsSync(mount.mountPoint));
  const v2 = mounts.findLast((mount) => mount.type === 'cgroup2');
  const unifiedControllers = v2 ? readControllers(v2.mountPoint) : [];
  const controllers = new Map<string, string>();
  for (const mount of mounts) {
    if (mount.type !== 'cgroup') continue;
    for (const option of mount.superOptions) {
      if (knownV1Controllers.has(option)) controllers.set(option, mount.mountPoint);
    }
  }
  // A kernel binds a controller to one hierarchy only, so the two lists never overlap while both are current.
  for (const name of unifiedControllers) controllers.set(name, v2!.mountPoint);

  const missing = requiredControllers.filter((name) => !controllers.has(name));
  if (missing.length > 0) {
    throw new CgroupsUnavailable(
      `cgroup controllers not available: ${missing.join(', ')}. Mount cgroup2 at /sys/fs/cgroup, or the cgroup v1 controllers below it`,
    );
  }
  const inUnified = requiredControllers.filter((name) => unifiedControllers.includes(name));
  if (inUnified.length > 0 && inUnified.length < requiredControllers.length) {
    throw new CgroupsUnavailable(
      `cgroup controllers are split between v1 and v2 (in v2: ${inUnified.join(', ')}): put cpu, memory and pids into the same version`,
    );
  }
  const version = inUnified.length > 0 ? 'v2' : v2 ? 'hybrid' : 'v1';
  return { version, controllers, ...(v2 && { unified: v2.mountPoint }) };
}

// biome-ignore format: rows
const knownV1Controllers = new Set([
  'cpu', 'cpuacct', 'cpuset', 'memory', 'pids', 'freezer', 'devices', 'blkio', 'hugetlb', 'net_cls', 'net_prio',
  'perf_event',
]);

export interface CgroupMount {
  mountPoint: string;
  type: 'cgroup' | 'cgroup2';
  superOptions: string[];
}

/**
 * Whole hierarchies only: another root is a bind of somebody's subgroup, and limits set there would not be ours. Unless it was delegated to us:
 * `delegated` is where it is mounted then, and nothing else counts.
 */
export function readCgroupMounts(mountinfo: string, delegated = rootlessState()?.cgroup): CgroupMount[] {
  return parseMountInfo(mountinfo).flatMap(({ root, path, fsType, superOptions }) =>
    (fsType === 'cgroup' || fsType === 'cgroup2') && (delegated === undefined ? root === '/' : path === delegated)
      ? [{ mountPoint: path, type: fsType, superOptions }]
      : [],
  );
}

function readControllers(mountPoint: string): string[] {
  try {
    return readFileSync(`${mountPoint}/cgroup.controllers`, 'utf8').trim().split(' ').filter(Boolean);
  } catch {
    return [];
  }
}
