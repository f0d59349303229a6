/** Chooses the agent for a task. */
import type { AgentState, Cluster } from './cluster.ts';
import { fieldValue } from './constraints.ts';
import { hasRoom, type Search } from './fit.ts';

/** In a small cluster every agent is weighed; in a large one the search ends when this many were found that have room. */
const ENOUGH_CANDIDATES = 100;

/** How much one task of the same framework on an agent weighs against it: as much as this part of the agent being in use. */
const SAME_FRAMEWORK_WEIGHT = 0.3;

/**
 * The agent with the most room left after the placement, where few tasks of the same framework are; undefined if none has room.
 * Work is bounded: see ENOUGH_CANDIDATES.
 */
export function chooseAgent(cluster: Cluster, search: Search, agents: readonly AgentState[]): AgentState | undefined {
  let best: AgentState | undefined;
  let bestScore = Number.POSITIVE_INFINITY;
  let found = 0;
  const start = agents.length > ENOUGH_CANDIDATES ? cluster.searchFrom % agents.length : 0;
  let looked = 0;
  for (; looked < agents.length && found < ENOUGH_CANDIDATES; looked += 1) {
    const agent = agents[(start + looked) % agents.length]!;
    if (!hasRoom(cluster, search, agent)) continue;
    found += 1;
    const score = loadAfter(search, agent);
    if (score < bestScore || (score === bestScore && agent.name < best!.name)) {
      best = agent;
      bestScore = score;
    }
  }
  if (agents.length > ENOUGH_CANDIDATES) cluster.searchFrom = (start + looked) % agents.length;
  return best;
}

/** The largest part of a resource of the agent that would be in use, plus the weight of the framework's own tasks there. */
function loadAfter(search: Search, agent: AgentState): number {
  let load = 0;
  for (const [number, amount] of search.amounts) {
    const total = agent.total[number] ?? 0;
    load = Math.max(load, ((agent.used[number] ?? 0) + amount) / total);
  }
  let weight = agent.perFramework.get(search.demand.frameworkKey) ?? 0;
  // GroupBy: a smaller group is worth more than any load.
  for (const { operator, field } of search.demand.constraints) {
    if (operator === 'GroupBy') weight += groupWeight(search, agent, field);
  }
  return load + weight * SAME_FRAMEWORK_WEIGHT;
}

function groupWeight(search: Search, agent: AgentState, field: string): number {
  return (search.countsOf(field).byValue.get(fieldValue(agent, field) ?? '') ?? 0) * 1000;
}
