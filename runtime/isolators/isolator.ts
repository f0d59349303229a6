/**
 * One isolator is one file and one idea: it contributes data to the launch, and keeps one kind of limit while the container runs.
 * The order of isolators is the visible array in index.ts; cleanup runs in reverse.
 */
import type { AgentIsolation, TaskContainer } from '../../crds/types.generated.ts';
import type { CgroupDriver } from '../cgroups/driver.ts';
import type { ContainerResources, LaunchSpec, ResourceStatistics } from '../containerizers/containerizer.ts';
import type { LaunchRequest, Operation } from '../launcher/operations.ts';
import type { FileSystemFeatures } from '../launcher/probe.ts';

/**
 * What one isolator contributes. Everything is data: an isolator never executes anything in the container. The four stages run in
 * this order, and within each stage in isolator order:
 *
 *   join        the first process moves into its cgroups                          launch and exec
 *   setup       mounts, host name, devices: with all privileges, once             launch only
 *   privileges  limits and identity of one process, until root is given up        launch and exec
 *   lockdown    what must come after everything else                              launch and exec
 */
export interface LaunchContribution {
  namespaces?: Partial<LaunchRequest['namespaces']>;
  cloneIntoCgroup?: string;
  /** The process whose namespaces `joinNamespace` without a path means. */
  share?: { pid: number; startTimeTicks: number };
  join?: Operation[];
  setup?: Operation[];
  privileges?: Operation[];
  lockdown?: Operation[];
}

export interface Limitation {
  reason: string;
  message: string;
  resource: string;
  /** All containers of the task have gone over it together. */
  isShared?: boolean;
}

/** What is known of a container but its environment, which no isolator needs. */
export type ContainerSpec = Omit<LaunchSpec, 'env'>;

/**
 * Guarantees: `contribute` is pure: it is called again for exec sessions, also by a later agent process.
 * Assumptions: `prepare` ran before `contribute` of the launch; `cleanup` may run without either, and more than once.
 */
export interface Isolator {
  readonly name: string;
  /** The first field of the container that needs this isolator (`resources.cpuset`); undefined when it asks for nothing. */
  asks?(container: TaskContainer): string | undefined;
  /** What of that this host cannot do, as `field: reason`. Asked before the launch, and only when `asks` names a field. */
  problems?(container: TaskContainer): string[];
  /** Once per agent process, before everything else: makes what all containers share. Idempotent. */
  open?(): Promise<void>;
  /** After `open`: why this host cannot have it at all; undefined when it can. The agent goes on without, and says so. */
  unavailable?(): string | undefined;
  /** Once, with the containers that run already; before any other of its functions is called for them. */
  recover?(specs: ContainerSpec[]): void;
  /** Reads what `contribute` needs and is not in memory yet (a profile). Changes nothing. Called before each `contribute`; mostly has nothing to do. */
  load?(spec: ContainerSpec): Promise<void> | undefined;
  contribute?(spec: ContainerSpec): LaunchContribution;
  /** Before the launch. Makes host state (a cgroup): it must be removable by `cleanup` alone, also after a crash between the two. */
  prepare?(spec: ContainerSpec): void;
  /** After all `prepare`s, for what takes its time. Removable by `cleanup`, also when it was cut short. */
  provision?(spec: ContainerSpec, signal?: AbortSignal): Promise<void> | undefined;
  /** Why this isolator ended the container, or would have it ended now. Called when the container exits, and by the shared timer while it runs. */
  limitation?(containerId: string): Limitation | undefined;
  /** Whether `limitation` has to be asked while the container runs, because nobody else ends it. */
  readonly polled?: boolean;
  update?(containerId: string, resources: ContainerResources): void;
  usage?(containerId: string): Partial<ResourceStatistics>;
  /** Ids of containers that it has something of, where that survives a reboot: what no record knows is cleaned up at the agent's start. */
  list?(): string[];
  /** Removes what prepare made. Idempotent; tolerates unknown ids. */
  cleanup?(containerId: string): Promise<void>;
}

/** What all isolators of one agent share. */
export interface IsolatorHost {
  cgroups: CgroupDriver;
  /** Tepui's own data directory, resolved: no container sees it. */
  dataDirectory: string;
  /** An empty directory of this agent, below which a container's root is put together in its own mount namespace. */
  rootMountPoint: string;
  /** Directory of seccomp profiles for type Localhost. */
  seccompDirectory?: string;
  /** The launcher's program. Default: built on first use. */
  launcherBinary?: string;
  /** The operator's policy, read anew for each launch. */
  policy(): AgentIsolation;
  /** What this host can do with files of the data directory. */
  features: FileSystemFeatures;
  /** Host ports that the agent gives to tasks ("31000-32000"), as its document says now. */
  portRanges?(): string | undefined;
  /** Of a container that runs; also of one that an earlier agent process launched. */
  specOf?(containerId: string): ContainerSpec | undefined;
  /** Between two looks at listening sockets, for tests. */
  portsIntervalMs?: number;
  /** The process that keeps what the containers of a task group share. Throws when it is not there. */
  sharedProcess(groupId: string): { pid: number; startTimeTicks: number };
}

/** The document asks for something that cannot be done here. The message names the field. */
export class IsolationRefused extends Error {
  override name = 'IsolationRefused';
}
