/** Pressure stall information (PSI) in the statistics, where the host has a cgroup v2 mount: how long processes waited for what. */
import { readPressure } from '../../cgroups/pressure.ts';
import type { Isolator, IsolatorHost } from '../isolator.ts';

export function pressureIsolator({ cgroups }: Pick<IsolatorHost, 'cgroups'>): Isolator {
  return {
    name: 'cgroups/pressure',
    usage(containerId) {
      const group = cgroups.unified(containerId);
      if (group === undefined) return {};
      const [cpu, memory, io] = (['cpu', 'memory', 'io'] as const).map((resource) => readPressure(group, resource));
      return cpu || memory || io
        ? { pressure: { ...(cpu && { cpu }), ...(memory && { memory }), ...(io && { io }) } }
        : {};
    },
  };
}
