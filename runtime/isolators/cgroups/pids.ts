/** Number of processes and threads: a fork bomb ends at the limit. */
import type { ContainerResources } from '../../containerizers/containerizer.ts';
import type { Isolator, IsolatorHost } from '../isolator.ts';

/** Of containers that name none, on agents that name none: ten times what a large JVM needs. The CRD's default for agents. */
const defaultLimit = 4096;

export function pidsIsolator({ cgroups, policy }: IsolatorHost): Isolator {
  const limit = (id: string, resources: ContainerResources) =>
    cgroups.pids.limit(id, resources.pids ?? policy().defaultPidsLimit ?? defaultLimit);
  return {
    name: 'cgroups/pids',
    asks: ({ pidsLimit }) => (pidsLimit === undefined ? undefined : 'pidsLimit'),
    prepare: ({ containerId, resources }) => limit(containerId, resources),
    update: limit,
    usage: (id) => ({ processes: cgroups.pids.usage(id) }),
  };
}
