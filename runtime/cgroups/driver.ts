/**
 * What the isolators need from cgroups, the same for v1, hybrid and v2. All calls but `remove` are synchronous: a write to cgroupfs
 * takes 10-30 us, less than a trip through the thread pool.
 *
 * Guarantees: nothing outside `<hierarchy>/<root>` is changed, except that v2 controllers are switched on for the levels above it.
 * `remove`, `kill` and `processes` tolerate groups that do not exist.
 */
import type { ExtraGroups } from './extra.ts';

export interface CgroupDriver {
  readonly version: 'v1' | 'hybrid' | 'v2';
  readonly cpu: CpuController;
  readonly memory: MemoryController;
  readonly pids: PidsController;
  /** Controllers that only some containers use. */
  readonly extra: ExtraGroups;
  /** Makes the container's groups, without limits. An existing group is an error of the caller: ids are never used twice. */
  create(id: string): void;
  /**
   * Makes the groups above those of a task's containers, for ids `<groupId>.<...>` that are created from then on. Idempotent. Limits, `kill`, usage
   * and `remove` take the id of a group as well; they are about all of its containers together.
   */
  createGroup(groupId: string): void;
  /** Ids of the task groups that exist. */
  groups(): string[];
  /** The task group whose groups a container's are below. */
  groupOf(id: string): string | undefined;
  /** How processes get into the groups. */
  placement(id: string): Placement;
  /** What the container may see of its own groups, as read-only binds below /sys/fs/cgroup. */
  views(id: string): GroupView[];
  /** Also those in groups below. */
  processes(id: string): number[];
  /** SIGKILLs every process of the groups, including those forked meanwhile. */
  kill(id: string): void;
  freeze(id: string, frozen: boolean): void;
  /** Ids of all containers that have groups. */
  list(): string[];
  /** Removes the groups; waits for processes that are still dying. */
  remove(id: string): Promise<void>;
  /** Removes our root when nothing is in it. */
  removeRoot(): void;
  /** The container's v2 group, where the host has one: it has pressure readings also without controllers. */
  unified(id: string): string | undefined;
}

export interface Placement {
  /** v2 directory to be born in. */
  cloneInto?: string;
  /** v1 `tasks` files: the process writes 0 itself, which is a hundred times faster than the parent writing a pid to `cgroup.procs`. */
  join: string[];
  /** For a process that joins later (exec): `join` and the v2 group's `cgroup.procs`. */
  joinLater: string[];
}

export type GroupView =
  /** The container's v2 group becomes /sys/fs/cgroup. */
  | { kind: 'unified' }
  /** A v1 group, to be bound at /sys/fs/cgroup/<controller>. */
  | { kind: 'controller'; controller: string; directory: string };

export interface CpuLimits {
  cpus: number;
  /** Most CPUs it may use; absent or Infinity means no quota. */
  limit?: number;
}

export interface CpuUsage {
  userSeconds: number;
  systemSeconds: number;
  periods?: number;
  throttledPeriods?: number;
  throttledSeconds?: number;
}

export interface CpuController {
  limit(id: string, limits: CpuLimits): void;
  usage(id: string): CpuUsage;
}

export interface MemoryLimits {
  /** Kept for the container when the host runs short. */
  softBytes: number;
  /** Infinity means unlimited. */
  hardBytes: number;
  /** Swap beside the memory; absent means none, Infinity any amount. */
  swapBytes?: number;
}

export interface MemoryUsage {
  totalBytes: number;
  rssBytes?: number;
  cacheBytes?: number;
  limitBytes?: number;
  peakBytes?: number;
  swapBytes?: number;
}

export interface MemoryController {
  /** First limits of a new group. */
  limit(id: string, limits: MemoryLimits): void;
  /** New limits for a group in use. Throws LimitBelowUse rather than to cause an OOM kill. */
  update(id: string, limits: MemoryLimits): void;
  usage(id: string): MemoryUsage;
  /** How many of the group's processes the kernel has killed for want of memory; 0 when the group is gone. */
  oomKills(id: string): number;
  /** Whether the kernel ends the whole group on its own (v2); otherwise somebody has to watch `oomKills`. */
  readonly killsWholeGroup: boolean;
  /** Whether the kernel counts swap by group: without it a limit cannot be kept. */
  readonly limitsSwap: boolean;
}

export interface PidsController {
  /** Infinity means unlimited. */
  limit(id: string, max: number): void;
  usage(id: string): number;
}

/** The memory limit cannot be lowered to less than what the container uses now. */
export class LimitBelowUse extends Error {
  override name = 'LimitBelowUse';
  readonly limitBytes: number;
  readonly usedBytes: number;

  constructor(limitBytes: number, usedBytes: number) {
    super(`memory limit of ${limitBytes} bytes is below the ${usedBytes} bytes in use`);
    this.limitBytes = limitBytes;
    this.usedBytes = usedBytes;
  }
}
