/** What CNI networks mean for the placement of a task. Pure. */
import type { AgentState, Demand } from './cluster.ts';

export type NetworkProblem =
  | { problem: 'NetworkNotFound'; name: string }
  | { problem: 'NetworkUnusable'; name: string; why: string }
  | { problem: 'PortsNotMappable'; hostPort: number };

/** Why the task cannot have its networks on the agent; an agent that does not say what it has is given the benefit of the doubt. */
export function networkProblemOn(demand: Demand, agent: AgentState): NetworkProblem | undefined {
  if (demand.networks.length === 0 || agent.networks === undefined) return undefined;
  const missing = demand.networks.find((name) => !Object.hasOwn(agent.networks!, name));
  if (missing !== undefined) return { problem: 'NetworkNotFound', name: missing };
  for (const name of demand.networks) {
    const why = agent.networks[name]!.unusable;
    if (why !== undefined) return { problem: 'NetworkUnusable', name, why };
  }
  const fixed = demand.ports.find(({ hostPort }) => hostPort !== 0);
  if (fixed === undefined || mapsPorts(demand, agent)) return undefined;
  return { problem: 'PortsNotMappable', hostPort: fixed.hostPort };
}

/** Host ports to find there: none where nothing would lead from them to the task. */
export function allocatedPortsOn(demand: Demand, agent: AgentState): number {
  return mapsPorts(demand, agent) ? demand.allocatedPorts : 0;
}

/** With the host's network every port is its own mapping. */
function mapsPorts({ networks }: Demand, agent: AgentState): boolean {
  if (networks.length === 0 || agent.networks === undefined) return true;
  return networks.some((name) => agent.networks![name]?.capabilities.includes('portMappings'));
}
