/** The container's cgroups themselves: made first and removed last, so that nothing of the container is ever outside of them. */
import type { Operation } from '../../launcher/operations.ts';
import type { Isolator, IsolatorHost } from '../isolator.ts';

export function hierarchyIsolator({ cgroups }: IsolatorHost): Isolator {
  return {
    name: 'cgroups/hierarchy',
    prepare: ({ containerId }) => cgroups.create(containerId),
    contribute({ containerId }) {
      const { cloneInto, join } = cgroups.placement(containerId);
      return {
        namespaces: { cgroup: true },
        join: join.map((path): Operation => ({ op: 'joinCgroup', path })),
        ...(cloneInto !== undefined && { cloneIntoCgroup: cloneInto }),
      };
    },
    async cleanup(containerId) {
      cgroups.kill(containerId);
      await cgroups.remove(containerId);
    },
  };
}
