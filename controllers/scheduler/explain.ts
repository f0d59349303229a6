/** Why no agent takes a task, per reason and with counts: what users of cluster schedulers ask for most. */
import { agentList } from './agents.ts';
import type { AgentClosed, AgentState, Cluster, Demand, Explanation, UnplacedReason, VolumeState } from './cluster.ts';
import { formatConstraint } from './constraints.ts';
import { brokenConstraint, hasFreePorts, mayRunOn, type Search, startSearch, takenPort } from './fit.ts';
import { allocatedPortsOn, type NetworkProblem, networkProblemOn } from './networks.ts';
import { DISK, formatAmount } from './resource-table.ts';
import { quotaProblem } from './roles.ts';
import { formatSelector } from './selector.ts';
import { volumeProblemEverywhere, volumeProblemOn } from './volumes.ts';

/**
 * Each agent is counted once, under the first thing that keeps the task from it; if it lacks several resources, under the scarcest. An
 * agent that could take the task is not counted.
 */
export function explain(cluster: Cluster, demand: Demand): Explanation {
  const agents = agentList(cluster);
  const everywhere = problemEverywhere(cluster, demand, agents.length);
  if (everywhere) return sentence(agents.length, [everywhere], false);
  const search = startSearch(cluster, demand);
  const groups = new Map<string, Group>();
  for (const agent of agents) {
    const problem = problemOf(cluster, search, agent);
    if (!problem) continue;
    const { reason, words, free } = problem;
    const key = `${reason}\0${words}`;
    const group = groups.get(key) ?? { reason, words, agents: 0, mostFree: undefined };
    group.agents += 1;
    if (free !== undefined && (group.mostFree === undefined || free.amount > group.mostFree.amount))
      group.mostFree = free;
    groups.set(key, group);
  }
  const reasons = [...groups.values()].map(reasonOf);
  reasons.sort((a, b) => b.agents - a.agents || (a.message < b.message ? -1 : 1));
  return sentence(agents.length, reasons, true);
}

interface Free {
  number: number;
  amount: number;
}

interface Problem {
  reason: string;
  words: string;
  free?: Free;
}

interface Group {
  reason: string;
  words: string;
  agents: number;
  mostFree: Free | undefined;
}

function problemEverywhere(cluster: Cluster, demand: Demand, agents: number): UnplacedReason | undefined {
  if (demand.unsupported) {
    return { reason: 'NotImplemented', agents, message: `${demand.unsupported} is not implemented yet` };
  }
  if (agents === 0) return { reason: 'NoAgents', agents, message: 'no agent has registered yet' };
  const quota = quotaProblem(cluster, demand);
  if (quota) {
    const { role, number } = quota;
    const limit = formatAmount(number, role.limits[number]!);
    const used = formatAmount(number, role.used[number] ?? 0);
    const name = cluster.resources.names[number];
    return {
      reason: 'QuotaExceeded',
      agents,
      message: `role "${role.name}" may use ${limit} ${name} and uses ${used}`,
    };
  }
  const volume = volumeProblemEverywhere(cluster, demand);
  return volume && { reason: volume.problem, agents, message: volumeWords(cluster, volume) };
}

function problemOf(cluster: Cluster, search: Search, agent: AgentState): Problem | undefined {
  const { demand } = search;
  if (demand.agentName !== undefined && demand.agentName !== agent.name) {
    return { reason: 'AgentNameMismatch', words: `not agent "${demand.agentName}"` };
  }
  if (agent.closed !== undefined) {
    return { reason: agent.closed, words: CLOSED_WORDS[agent.closed] };
  }
  if (!mayRunOn(demand, agent)) {
    return {
      reason: 'AgentSelectorMismatch',
      words: `does not match agentSelector ${formatSelector(demand.selector)}`,
    };
  }
  const constraint = brokenConstraint(search, agent);
  if (constraint) {
    return { reason: 'UnfulfilledConstraint', words: `does not satisfy constraint "${formatConstraint(constraint)}"` };
  }
  const volume = volumeProblemOn(cluster, demand, agent);
  if (volume) {
    return { reason: volume.problem, words: volumeWords(cluster, volume) };
  }
  const network = networkProblemOn(demand, agent);
  if (network) {
    return { reason: network.problem, words: networkWords(network) };
  }
  const port = takenPort(search, agent);
  if (port !== undefined) {
    return { reason: 'HostPortInUse', words: `host port ${port} in use` };
  }
  if (!hasFreePorts(search, agent)) {
    return { reason: 'InsufficientPorts', words: `insufficient host ports (needs ${allocatedPortsOn(demand, agent)})` };
  }
  const scarcest = scarcestResource(search, agent);
  if (!scarcest) return undefined;
  const { number, amount, free } = scarcest;
  const name = cluster.resources.names[number]!;
  return {
    reason: `Insufficient${RESOURCE_WORDS[name] ?? 'Resource'}`,
    words: `insufficient ${name} (needs ${formatAmount(number, amount)}`,
    free: { number, amount: free },
  };
}

function networkWords(network: NetworkProblem): string {
  switch (network.problem) {
    case 'NetworkNotFound':
      return `have no network "${network.name}"`;
    case 'NetworkUnusable':
      return `cannot use network "${network.name}" (${network.why})`;
    case 'PortsNotMappable':
      return `cannot map host port ${network.hostPort} to the task's networks`;
  }
}

/** Of the resources that the agent has too little of, the one of which the smallest part is there. */
function scarcestResource(
  search: Search,
  agent: AgentState,
): { number: number; amount: number; free: number } | undefined {
  let scarcest: { number: number; amount: number; free: number } | undefined;
  for (const [number, amount] of search.amounts) {
    const free = (agent.total[number] ?? 0) - (agent.used[number] ?? 0);
    if (free >= amount) continue;
    if (!scarcest || free / amount < scarcest.free / scarcest.amount) scarcest = { number, amount, free };
  }
  return scarcest;
}

const RESOURCE_WORDS: Record<string, string> = { cpus: 'Cpus', mem: 'Mem', disk: 'Disk', gpus: 'Gpus' };

const CLOSED_WORDS: Record<AgentClosed, string> = {
  AgentGone: 'marked gone',
  AgentBeingDeleted: 'being deleted',
  AgentDraining: 'draining',
  AgentDeactivated: 'deactivated',
  AgentUnreachable: 'unreachable',
  AgentNotReady: 'not ready',
  ReservationsNotImplemented: 'has reservations or a default role, which are not implemented yet',
};

function reasonOf(group: Group): UnplacedReason {
  const { mostFree } = group;
  if (!mostFree) return { reason: group.reason, agents: group.agents, message: group.words };
  const free = formatAmount(mostFree.number, Math.max(0, mostFree.amount));
  return { reason: group.reason, agents: group.agents, message: `${group.words}, most free ${free})` };
}

function volumeWords(cluster: Cluster, { problem, key }: { problem: string; key: string }): string {
  const volume = cluster.volumes.get(key);
  const name = `volume "${key.slice(key.indexOf('/') + 1)}"`;
  switch (problem) {
    case 'VolumeNotFound':
      return `${name} does not exist`;
    case 'VolumeBeingDeleted':
      return `${name} is being deleted`;
    case 'VolumeLost':
      return `${name} was lost with agent "${volume?.agentName}"`;
    case 'VolumeInUse':
      return `${name} is exclusive and in use by task "${[...(volume?.users ?? [])][0]?.replace(/^.*\//, '')}"`;
    case 'VolumeNotBound':
      return `${name} is not bound to an agent yet`;
    case 'VolumeNoSuchDisk':
      return `no disk ${diskWords(volume)} for ${name}`;
    case 'VolumeDiskFull':
      return `no room for ${name} (${formatAmount(DISK, volume?.sizeBytes ?? 0)}) on a disk ${diskWords(volume)}`;
    case 'VolumeDataOnOtherAgent':
      return `the retained data of ${name} is on agent "${[...(cluster.retained.get(volume?.identity ?? '')?.keys() ?? [])].join('", "')}"`;
    case 'VolumeOnOtherAgent':
      return `${name} is on agent "${volume?.agentName}"`;
    default:
      return `does not match the placement of ${name} (${formatSelector(volume?.selector) || volume?.wantedAgentName})`;
  }
}

/** `of type Mount named "fast"` */
function diskWords(volume: VolumeState | undefined): string {
  const { diskType, wantedDisk, profile } = volume ?? {};
  const name = wantedDisk === undefined ? '' : ` named "${wantedDisk}"`;
  return `of type ${diskType}${name}${profile === undefined ? '' : ` with profile "${profile}"`}`;
}

/** "0/3 agents can run this task: 2 insufficient mem (needs 4Gi, most free 1.5Gi), 1 draining" */
function sentence(totalAgents: number, reasons: UnplacedReason[], counted: boolean): Explanation {
  const parts = reasons.map(({ agents, message }) => (counted ? `${agents} ${message}` : message));
  const message = `0/${totalAgents} agents can run this task: ${parts.join(', ')}`;
  return { totalAgents, reasons: onePerReason(reasons), message };
}

/** In the status each reason occurs once; the sentence keeps them apart. */
function onePerReason(reasons: UnplacedReason[]): UnplacedReason[] {
  const merged = new Map<string, UnplacedReason>();
  for (const reason of reasons) {
    const known = merged.get(reason.reason);
    if (known) {
      known.agents += reason.agents;
      known.message += `; ${reason.message}`;
    } else {
      merged.set(reason.reason, { ...reason });
    }
  }
  return [...merged.values()];
}
