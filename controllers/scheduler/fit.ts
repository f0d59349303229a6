/** Whether an agent can take what a task asks for, check by check. fit.ts decides, explain.ts words it; both use these checks. */
import type { Constraint } from '../../crds/types.generated.ts';
import { agentList } from './agents.ts';
import type { AgentState, Cluster, Demand, Shape } from './cluster.ts';
import { constraintHolds, countsTasks, countValues, type ValueCounts } from './constraints.ts';
import { allocatedPortsOn, networkProblemOn } from './networks.ts';
import { findFreePorts, isPortTaken } from './ports.ts';
import { DISK } from './resource-table.ts';
import { matchesSelector } from './selector.ts';
import { unboundBytes, volumeProblemOn } from './volumes.ts';

/** What one search needs to know beside the agent: the same for all agents, so it is worked out once. */
export interface Search {
  readonly demand: Demand;
  /** The demand's amounts, with the space for volumes that would be bound along with it. */
  readonly amounts: readonly (readonly [number, number])[];
  readonly fixedPorts: ReadonlySet<number>;
  readonly countsOf: (field: string) => ValueCounts;
}

export function startSearch(cluster: Cluster, demand: Demand): Search {
  const counts = new Map<string, ValueCounts>();
  return {
    demand,
    amounts: withVolumeSpace(cluster, demand),
    fixedPorts: new Set(demand.ports.filter((port) => port.hostPort !== 0).map((port) => port.hostPort)),
    countsOf: (field) => {
      const known = counts.get(field);
      if (known) return known;
      const counted = countValues(cluster, demand.frameworkKey, field);
      counts.set(field, counted);
      return counted;
    },
  };
}

/** Agents that the demand may run on as far as the documents say, whatever is free on them. */
export function eligibleAgents(cluster: Cluster, shape: Shape): readonly AgentState[] {
  if (shape.eligibleEpoch !== cluster.agentEpoch) {
    const { demand } = shape;
    const all = agentList(cluster);
    const own = demand.constraints.filter((constraint) => !countsTasks(constraint));
    const open = own.length === 0 && demand.agentName === undefined && demand.selector === undefined;
    shape.eligible = open ? all : all.filter((agent) => mayRunOn(demand, agent) && holdsAll(own, agent, noCounts));
    shape.eligibleEpoch = cluster.agentEpoch;
  }
  return shape.eligible;
}

/** Whether the agent has room now. The agent is one of `eligibleAgents`. */
export function hasRoom(cluster: Cluster, search: Search, agent: AgentState): boolean {
  if (agent.closed !== undefined) return false;
  const { total, used } = agent;
  for (const [number, amount] of search.amounts) {
    if ((total[number] ?? 0) - (used[number] ?? 0) < amount) return false;
  }
  const { demand } = search;
  if (demand.volumeKeys.length > 0 && volumeProblemOn(cluster, demand, agent) !== undefined) return false;
  if (networkProblemOn(demand, agent) !== undefined) return false;
  if (demand.ports.length > 0 && (takenPort(search, agent) !== undefined || !hasFreePorts(search, agent))) return false;
  return holdsAll(demand.constraints, agent, search.countsOf);
}

/** Whether the placement part of the document allows the agent (constraints aside). */
export function mayRunOn(demand: Demand, agent: AgentState): boolean {
  return (
    (demand.agentName === undefined || demand.agentName === agent.name) &&
    matchesSelector(demand.selector, agent.labels)
  );
}

/** A port that the document names and somebody on the agent has. */
export function takenPort(search: Search, agent: AgentState): number | undefined {
  return search.demand.ports.find(
    (port) => port.hostPort !== 0 && isPortTaken(agent.ports, port.hostPort, port.protocol),
  )?.hostPort;
}

export function hasFreePorts(search: Search, agent: AgentState): boolean {
  return findFreePorts(agent.ports, allocatedPortsOn(search.demand, agent), search.fixedPorts) !== undefined;
}

export function brokenConstraint(search: Search, agent: AgentState): Constraint | undefined {
  return search.demand.constraints.find((constraint) => !constraintHolds(constraint, agent, search.countsOf));
}

function holdsAll(
  constraints: readonly Constraint[],
  agent: AgentState,
  countsOf: (field: string) => ValueCounts,
): boolean {
  for (const constraint of constraints) if (!constraintHolds(constraint, agent, countsOf)) return false;
  return true;
}

const NO_COUNTS: ValueCounts = { byValue: new Map(), fewest: 0 };

function noCounts(): ValueCounts {
  return NO_COUNTS;
}

function withVolumeSpace(cluster: Cluster, demand: Demand): readonly (readonly [number, number])[] {
  const space = unboundBytes(cluster, demand);
  if (space === 0) return demand.amounts;
  const others = demand.amounts.filter(([number]) => number !== DISK);
  const own = demand.amounts.find(([number]) => number === DISK)?.[1] ?? 0;
  return [...others, [DISK, own + space]];
}
