/** CPU time: in proportion to the request when the machine is busy, and never more than the limit where one is given. */
import type { ContainerResources } from '../../containerizers/containerizer.ts';
import type { Isolator, IsolatorHost } from '../isolator.ts';

export function cpuIsolator({ cgroups }: IsolatorHost): Isolator {
  const limit = (id: string, { requests, limits }: ContainerResources) =>
    cgroups.cpu.limit(id, { cpus: requests.cpus, limit: limits.cpus });
  return {
    name: 'cgroups/cpu',
    prepare: ({ containerId, resources }) => limit(containerId, resources),
    update: limit,
    usage(id) {
      const usage = cgroups.cpu.usage(id);
      return {
        cpusUserTimeSeconds: usage.userSeconds,
        cpusSystemTimeSeconds: usage.systemSeconds,
        cpusNrPeriods: usage.periods,
        cpusNrThrottled: usage.throttledPeriods,
        cpusThrottledTimeSeconds: usage.throttledSeconds,
      };
    },
  };
}
