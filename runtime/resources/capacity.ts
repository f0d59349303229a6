/** From detected resources and the operator's overrides to what the Agent document shows. */
import { formatBytes, formatMilli } from '../../crds/quantity.ts';
import type { AgentResources } from '../../crds/types.generated.ts';
import type { MachineFacts, OfferedResources } from './detect.ts';

export interface AgentResourceLists {
  /** What the machine has, within the limits of the cgroup the agent is in. */
  detected: AgentResources;
  /** Detected, with the values of Agent.spec.resources in their place. */
  capacity: AgentResources;
  /** What tasks may use: less the system's share where the operator did not say otherwise. An explicit 0 is an override. */
  allocatable: AgentResources;
}

/** Pure: the three lists of Agent.status. */
export function resolveResources(
  facts: MachineFacts,
  offered: OfferedResources,
  overrides: AgentResources = {},
): AgentResourceLists {
  const detected = {
    cpus: formatMilli(facts.cpusMilli),
    mem: formatBytes(facts.memBytes),
    disk: formatBytes(facts.diskBytes),
    ...gpus(offered),
    ports: offered.ports,
  };
  const left = {
    cpus: formatMilli(offered.cpusMilli),
    mem: formatBytes(offered.memBytes),
    disk: formatBytes(offered.diskBytes),
    ...gpus(offered),
    ports: offered.ports,
  };
  return { detected, capacity: { ...detected, ...overrides }, allocatable: { ...left, ...overrides } };
}

/** A machine without GPUs does not offer them at all. */
function gpus({ gpus }: OfferedResources): { gpus?: string } {
  return gpus ? { gpus: String(gpus) } : {};
}
