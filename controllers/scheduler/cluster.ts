/**
 * What the scheduler knows: agents with what is free on them, tasks that wait, volumes and quotas, kept up to date document by document
 * (agents.ts, tasks.ts, volumes.ts, roles.ts), so that a placement costs no walk over all tasks.
 */
import type { Constraint, LabelSelector } from '../../crds/types.generated.ts';
import type { PortLedger, Protocol } from './ports.ts';
import { type Amounts, createResourceTable, type ResourceTable } from './resource-table.ts';

/** Why an agent takes no task at all. */
export type AgentClosed =
  | 'AgentGone'
  | 'AgentBeingDeleted'
  | 'AgentDraining'
  | 'AgentDeactivated'
  | 'AgentUnreachable'
  | 'AgentNotReady'
  | 'ReservationsNotImplemented';

export interface AgentState {
  readonly name: string;
  /** False while only tasks or volumes speak of it and its document is not (or no longer) there. */
  known: boolean;
  uid: string;
  closed: AgentClosed | undefined;
  labels: Record<string, string>;
  hostname: string;
  region: string | undefined;
  zone: string | undefined;
  attributes: Map<string, string>;
  total: Amounts;
  used: Amounts;
  ports: PortLedger;
  /** Each CNI network that is configured there; `unusable` says why it cannot be joined. Absent: the agent does not say. */
  networks: Record<string, { capabilities: readonly string[]; unusable?: string }> | undefined;
  /** Tasks that hold something here, by framework. */
  readonly perFramework: Map<string, number>;
  taskCount: number;
  /** Disks beside the root disk, by name, as the document says. */
  disks: ReadonlyMap<string, DiskState>;
  /** What volumes take of them, by disk name. */
  readonly diskUse: Map<string, DiskUse>;
}

export interface DiskState {
  readonly name: string;
  readonly type: 'Path' | 'Mount';
  readonly profile: string | undefined;
  /** 0 while the agent cannot use it. */
  readonly capacityBytes: number;
}

export interface DiskUse {
  bytes: number;
  volumes: number;
}

export interface PortDemand {
  container: string;
  name: string;
  protocol: Protocol;
  /** 0: any port of the agent's ranges. */
  hostPort: number;
}

/** What a task asks of an agent. Tasks with equal demands share one object. */
export interface Demand {
  readonly key: string;
  readonly priority: number;
  readonly role: string;
  readonly frameworkKey: string;
  /** Resource number and amount, only those above 0. */
  readonly amounts: readonly (readonly [number, number])[];
  readonly ports: readonly PortDemand[];
  /** With host networking; `allocatedPortsOn` says how many it is on one agent. */
  readonly allocatedPorts: number;
  /** CNI networks that it joins. */
  readonly networks: readonly string[];
  readonly agentName: string | undefined;
  readonly selector: LabelSelector | undefined;
  readonly constraints: readonly Constraint[];
  readonly volumeKeys: readonly string[];
  /** It is a volume itself that is to be bound, not a task that needs it to be. */
  readonly isVolume?: true;
  /** A field that the scheduler would have to honour and cannot yet. */
  readonly unsupported: string | undefined;
}

/** All waiting tasks with one demand. What holds for one of them holds for all, so it is worked out once. */
export interface Shape {
  readonly demand: Demand;
  /** Oldest first, unless `sorted` says otherwise. */
  waiting: Map<string, TaskState>;
  sorted: boolean;
  newestMs: number;
  /** No agent could take it when last looked at; only agents that got better since need another look. */
  blocked: boolean;
  /** Agents that it may ever run on, as the documents stood at `eligibleEpoch`. */
  eligible: readonly AgentState[];
  eligibleEpoch: number;
  explanation: Explanation | undefined;
  explainedAtMs: number;
  /** cluster.changes at that time: an explanation is out of date when it differs. */
  explainedAtChange: number;
}

export interface UnplacedReason {
  reason: string;
  agents: number;
  message: string;
}

/** Why nothing takes a demand: a sentence, and the same by reason with counts of agents. */
export interface Explanation {
  totalAgents: number;
  reasons: UnplacedReason[];
  message: string;
}

export interface BoundPort {
  container: string;
  name: string;
  protocol: Protocol;
  hostPort: number;
}

export interface TaskState {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  generation: number;
  demand: Demand;
  createdAtMs: number;
  /** Set while it holds resources of an agent: bound (or assumed to be) and not ended. */
  agentName: string | undefined;
  hostPorts: readonly BoundPort[];
  /** Placed by this process, not yet seen so in a document. */
  assumed: boolean;
  /** When the scheduler first found no place for it; the first report waits a moment for one. */
  unplacedSinceMs: number | undefined;
  /** The sentence its status shows. */
  reported: string | undefined;
  reportedAtMs: number;
  /** The reasons in it, without counts and amounts: when these change it is worth an Event. */
  reportedReasons: string;
}

export type DiskType = 'Root' | 'Path' | 'Mount';

export interface VolumeState {
  readonly key: string;
  /** False while only tasks speak of it. */
  known: boolean;
  uid: string;
  exclusive: boolean;
  sizeBytes: number;
  diskType: DiskType;
  /** The disk that the document asks for; undefined: any of the type. */
  wantedDisk: string | undefined;
  profile: string | undefined;
  /** The disk of the agent that holds it; undefined for the root disk, and while it is not bound. */
  diskName: string | undefined;
  /** Namespace, role and persistenceId: data of that identity belongs to this volume. */
  identity: string;
  immediate: boolean;
  deleting: boolean;
  agentName: string | undefined;
  /** Bound by this process, not yet seen so in the document. */
  assumed: boolean;
  wantedAgentName: string | undefined;
  selector: LabelSelector | undefined;
  /** The sentence its status shows while it is to be bound at once and no agent can take it. */
  reported: string | undefined;
  /** cluster.changes when an agent was last looked for. */
  triedAtChange: number;
  /** Keys of tasks that hold it. */
  readonly users: Set<string>;
  /** Keys of shapes that ask for it. */
  readonly shapes: Set<string>;
}

export interface RoleState {
  readonly name: string;
  limits: Amounts;
  used: Amounts;
}

export interface Cluster {
  readonly resources: ResourceTable;
  readonly agents: Map<string, AgentState>;
  readonly tasks: Map<string, TaskState>;
  readonly volumes: Map<string, VolumeState>;
  /** Volumes that are to be bound without waiting for a task. */
  readonly unboundVolumes: Set<VolumeState>;
  readonly roles: Map<string, RoleState>;
  /** Where data without a Volume is, by identity and agent: the disk's name, or undefined for the root disk. */
  readonly retained: Map<string, Map<string, string | undefined>>;
  readonly shapes: Map<string, Shape>;
  /** Tasks that hold resources, by framework: what placement constraints count. */
  readonly frameworkTasks: Map<string, Set<TaskState>>;
  /** Agents that may take more than when last looked at. */
  readonly improvedAgents: Set<AgentState>;
  /** Shapes to be looked at on all agents again. */
  readonly dirtyShapes: Set<Shape>;
  /** Shapes with placement constraints, by framework. */
  readonly constrainedShapes: Map<string, Set<Shape>>;
  /** Agents that have a document, in a fixed order; undefined until asked for again after one came or went. */
  agentList: AgentState[] | undefined;
  /** Where in that list the next search starts, so that searches that stop early do not all meet the same agents. */
  searchFrom: number;
  /** Counts changes of agent documents. */
  agentEpoch: number;
  /** Counts all changes that make explanations out of date. */
  changes: number;
}

export function createCluster(): Cluster {
  return {
    resources: createResourceTable(),
    agents: new Map(),
    tasks: new Map(),
    volumes: new Map(),
    unboundVolumes: new Set(),
    roles: new Map(),
    retained: new Map(),
    shapes: new Map(),
    frameworkTasks: new Map(),
    improvedAgents: new Set(),
    dirtyShapes: new Set(),
    constrainedShapes: new Map(),
    agentList: undefined,
    searchFrom: 0,
    agentEpoch: 0,
    changes: 0,
  };
}

/** `namespace/name` */
export function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}
