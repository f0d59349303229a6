/** Memory: the request is kept for the container, more than the limit ends it with ContainerLimitationMemory. */
import { parseBytesLimit } from '../../../crds/quantity.ts';
import type { MemoryLimits } from '../../cgroups/driver.ts';
import type { ContainerResources } from '../../containerizers/containerizer.ts';
import type { Isolator, IsolatorHost, Limitation } from '../isolator.ts';

export function memoryIsolator({ cgroups }: IsolatorHost): Isolator {
  const { memory } = cgroups;
  return {
    name: 'cgroups/memory',
    asks: ({ resources }) => (isSome(resources?.limits?.swap) ? 'resources.limits.swap' : undefined),
    problems: () =>
      memory.limitsSwap ? [] : ["resources.limits.swap: this agent's kernel does not count swap (swapaccount)"],
    // cgroup v2 ends the whole group by itself; v1 kills one process and leaves a torso, as Mesos would not.
    polled: !memory.killsWholeGroup,
    prepare: ({ containerId, resources }) => memory.limit(containerId, memoryLimits(resources)),
    update: (id, resources) => memory.update(id, memoryLimits(resources)),
    usage(id) {
      const usage = memory.usage(id);
      return {
        memTotalBytes: usage.totalBytes,
        memRssBytes: usage.rssBytes,
        memCacheBytes: usage.cacheBytes,
        memLimitBytes: usage.limitBytes,
        memPeakBytes: usage.peakBytes,
        swapBytes: usage.swapBytes,
      };
    },
    limitation(containerId): Limitation | undefined {
      const group = cgroups.groupOf(containerId);
      if (memory.oomKills(group ?? containerId) === 0) return undefined;
      const { limitBytes, peakBytes } = memory.usage(containerId);
      const shared = group === undefined || limitBytes !== undefined ? undefined : memory.usage(group).limitBytes;
      if (shared !== undefined) return sharedLimitation(shared, peakBytes);
      return memory.oomKills(containerId) === 0 ? undefined : memoryLimitation(limitBytes, peakBytes);
    },
  };
}

export function memoryLimitation(limitBytes: number | undefined, peakBytes: number | undefined): Limitation {
  return { reason: 'ContainerLimitationMemory', resource: 'mem', message: memoryMessage(limitBytes, peakBytes) };
}

/** The limit is that of all containers of the task together. */
function sharedLimitation(limitBytes: number, peakBytes: number | undefined): Limitation {
  const own = peakBytes === undefined ? '' : `; this container ${formatBytes(peakBytes)} at most`;
  const message =
    `Memory limit exceeded: the containers of the task may use ${formatBytes(limitBytes)} together${own}. ` +
    'Raise resources.limits.mem of those that need more, or set shareCgroups to false';
  return { reason: 'ContainerLimitationMemory', resource: 'mem', message, isShared: true };
}

function isSome(swap: string | number | undefined): boolean {
  return swap !== undefined && parseBytesLimit(swap) > 0;
}

function memoryLimits({ requests, limits }: ContainerResources): MemoryLimits {
  return {
    softBytes: requests.memBytes,
    hardBytes: limits.memBytes ?? requests.memBytes,
    swapBytes: limits.swapBytes ?? 0,
  };
}

function memoryMessage(limitBytes: number | undefined, peakBytes: number | undefined): string {
  if (limitBytes === undefined) return 'The machine ran out of memory and the kernel chose this container';
  const peak = peakBytes === undefined ? '' : `, it used ${formatBytes(peakBytes)}`;
  return `Memory limit exceeded: the limit is ${formatBytes(limitBytes)}${peak}. Raise resources.limits.mem of the container if it needs more`;
}

/** 134217728 -> "128Mi": the units that the document is written in. */
export function formatBytes(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))}${units[unit]}`;
}
