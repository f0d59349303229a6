/** Any containerizer, with the agent's disk limits in what it tells of containers. */
import type { Containerizer } from '../../containerizers/containerizer.ts';
import type { DiskLimits } from './disk-limits.ts';

export function withDiskLimits(containerizer: Containerizer, limits: DiskLimits): Containerizer {
  return {
    ...containerizer,
    async wait(containerId) {
      const termination = await containerizer.wait(containerId);
      const limitation = termination.limitation ?? limits.limitation(containerId);
      return { ...termination, ...(limitation && { limitation }) };
    },
    async usage(containerId) {
      const usage = await containerizer.usage(containerId);
      const disk = limits.usage(containerId);
      if (disk === undefined) return usage;
      const { usedBytes, limitBytes } = disk;
      return { ...usage, ...(usedBytes !== undefined && { diskUsedBytes: usedBytes }), diskLimitBytes: limitBytes };
    },
    async destroy(containerId) {
      await containerizer.destroy(containerId);
      await limits.ended(containerId);
    },
  };
}
