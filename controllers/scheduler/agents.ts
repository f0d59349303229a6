/** Keeps the agents of the cluster's state as their documents say. */
import type { Agent } from '../../crds/types.generated.ts';
import type { AgentClosed, AgentState, Cluster } from './cluster.ts';
import { disksOf, noteRetained } from './disks.ts';
import { createPortLedger, parsePortRanges } from './ports.ts';
import { offeredAmounts } from './resource-table.ts';
import { hasReservations } from './unsupported.ts';

/** Takes over what an Agent document says. A document that says what was known already changes nothing. */
export function upsertAgent(cluster: Cluster, document: Agent): void {
  const agent = agentNamed(cluster, document.metadata?.name ?? '');
  const offered = document.status?.allocatable;
  const before = JSON.stringify(visible(agent));
  agent.known = true;
  agent.uid = document.metadata?.uid ?? '';
  agent.closed = whyClosed(document);
  agent.labels = document.metadata?.labels ?? {};
  agent.hostname = document.status?.hostname ?? agent.labels['kubernetes.io/hostname'] ?? agent.name;
  agent.region = document.spec?.domain?.region;
  agent.zone = document.spec?.domain?.zone;
  agent.attributes = attributesOf(document);
  agent.total = offeredAmounts(cluster.resources, offered);
  agent.ports.ranges = parsePortRanges(offered?.ports);
  agent.networks = networksOf(document);
  agent.disks = disksOf(document);
  const movedData = noteRetained(cluster, document);
  if (!movedData && JSON.stringify(visible(agent)) === before) return;
  cluster.agentEpoch += 1;
  cluster.agentList = undefined;
  markAgentImproved(cluster, agent);
  // A value that constraints count by may have changed.
  for (const shapes of cluster.constrainedShapes.values()) for (const shape of shapes) cluster.dirtyShapes.add(shape);
}

export function removeAgent(cluster: Cluster, name: string): void {
  const agent = cluster.agents.get(name);
  if (!agent) return;
  agent.known = false;
  agent.total = [];
  agent.ports.ranges = [];
  agent.disks = new Map();
  for (const places of cluster.retained.values()) places.delete(name);
  cluster.changes += 1;
  cluster.agentEpoch += 1;
  cluster.agentList = undefined;
  forgetUnusedAgent(cluster, agent);
}

/** All agents that have a document. */
export function agentList(cluster: Cluster): readonly AgentState[] {
  cluster.agentList ??= [...cluster.agents.values()].filter((agent) => agent.known);
  return cluster.agentList;
}

/** The agent's state; made if only a task or a volume has spoken of it so far. */
export function agentNamed(cluster: Cluster, name: string): AgentState {
  const known = cluster.agents.get(name);
  if (known) return known;
  const agent: AgentState = {
    name,
    known: false,
    uid: '',
    closed: undefined,
    labels: {},
    hostname: name,
    region: undefined,
    zone: undefined,
    attributes: new Map(),
    total: [],
    used: [],
    ports: createPortLedger(),
    networks: undefined,
    perFramework: new Map(),
    taskCount: 0,
    disks: new Map(),
    diskUse: new Map(),
  };
  cluster.agents.set(name, agent);
  return agent;
}

/** Notes that tasks which found no place may find one here. */
export function markAgentImproved(cluster: Cluster, agent: AgentState): void {
  cluster.changes += 1;
  cluster.improvedAgents.add(agent);
}

/** Drops the state of an agent that has no document and that nothing speaks of any more. */
export function forgetUnusedAgent(cluster: Cluster, agent: AgentState): void {
  if (agent.known || agent.taskCount > 0 || agent.used.some((amount) => amount > 0)) return;
  if ([...agent.diskUse.values()].some(({ volumes }) => volumes > 0)) return;
  cluster.agents.delete(agent.name);
  cluster.improvedAgents.delete(agent);
}

function whyClosed(document: Agent): AgentClosed | undefined {
  const { spec, status, metadata } = document;
  if (metadata?.deletionTimestamp) return 'AgentBeingDeleted';
  if (spec?.gone) return 'AgentGone';
  if (spec?.drain) return 'AgentDraining';
  if (spec?.deactivated) return 'AgentDeactivated';
  if (hasReservations(document)) return 'ReservationsNotImplemented';
  const conditions = status?.conditions ?? [];
  const ready = conditions.find((condition) => condition.type === 'Ready')?.status;
  const reachable = conditions.find((condition) => condition.type === 'Reachable')?.status;
  if (ready === 'Unknown' || (reachable !== undefined && reachable !== 'True')) return 'AgentUnreachable';
  return ready === 'True' ? undefined : 'AgentNotReady';
}

/** The first attribute of a name counts, as in Mesos. */
function attributesOf(document: Agent): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const attribute of document.spec?.attributes ?? []) {
    const value = attribute.text ?? attribute.ranges ?? attribute.set?.join(',') ?? attribute.scalar;
    if (value !== undefined && !attributes.has(attribute.name)) attributes.set(attribute.name, String(value));
  }
  return attributes;
}

/** One with a message cannot be used. */
function networksOf({ status }: Agent): AgentState['networks'] {
  const entries = status?.networks?.map(
    ({ name, capabilities = [], message }) =>
      [name, { capabilities, ...(message !== undefined && { unusable: message }) }] as const,
  );
  return entries && Object.fromEntries(entries);
}

function visible(agent: AgentState): unknown[] {
  const { known, uid, closed, labels, hostname, region, zone, attributes, total, ports, networks, disks } = agent;
  return [
    known,
    uid,
    closed,
    labels,
    hostname,
    region,
    zone,
    [...attributes],
    total,
    ports.ranges,
    networks,
    [...disks],
  ];
}
