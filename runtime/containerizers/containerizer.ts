/**
 * What the agent asks of a containerizer (native, and later oci and docker). One container is one process tree with its own cgroups.
 *
 * Guarantees: `launch` either resolves with the command running, or rejects with ContainerLaunchFailed and has removed everything it made.
 * `destroy` is idempotent and tolerates unknown ids. `wait` resolves also for containers that ended while no agent was running.
 * Assumptions: container ids are unique for ever on this node; the caller has checkpointed its intent before `launch`.
 */
import type { Task, TaskContainer } from '../../crds/types.generated.ts';

export interface LaunchSpec {
  containerId: string;
  task: Task;
  container: TaskContainer;
  /** Host directory that becomes the container's working directory; exists, owned by the user. Holds `stdout` and `stderr`. */
  sandbox: string;
  /** Resolved environment, already merged (secrets included): never logged. */
  env: Record<string, string>;
  user: { uid: number; gid: number; supplementalGids: number[]; name: string; home: string };
  /** Persistent and other host directories to bind into the container; sources are already resolved below their root. */
  mounts: ContainerMount[];
  /** Guaranteed and maximal resources in base units (cpus in cores, mem in bytes). */
  resources: ContainerResources;
}

export interface ContainerMount {
  source: string;
  /**
   * A directory that `source` must be in. It is then resolved below it at the moment of the mount, so that symbolic links that a task made or
   * swaps meanwhile never lead out. Give it for every source that is not entirely under the operator's control.
   */
  root?: string;
  /** Absolute path in the container, or relative to the sandbox. */
  target: string;
  readOnly: boolean;
}

export interface ContainerResources {
  requests: { cpus: number; memBytes: number };
  /** `Infinity` means unlimited; absent means equal to the request for memory and unlimited for cpus. */
  limits: { cpus?: number; memBytes?: number };
  pids?: number;
}

export interface LaunchedContainer {
  containerId: string;
  /** Pid of the container's first process in the host's pid namespace, with its start time (field 22 of /proc/pid/stat): never trust a pid alone. */
  pid: number;
  startTimeTicks: number;
  startedAt: Date;
}

/** How a container ended. Booleans and numbers, no prose to parse. */
export interface Termination {
  containerId: string;
  exitCode?: number;
  signal?: number;
  oomKilled: boolean;
  finishedAt: Date;
  /** Set when an isolator ended the container, for example {reason: 'ContainerLimitationMemory', message}. */
  limitation?: { reason: string; message: string; resource: string };
  /** The container is gone and nobody recorded how (reboot, or its supervisor was killed). */
  lost?: boolean;
}

export interface ResourceStatistics {
  timestamp: Date;
  cpusUserTimeSeconds: number;
  cpusSystemTimeSeconds: number;
  cpusLimit?: number;
  cpusNrPeriods?: number;
  cpusNrThrottled?: number;
  cpusThrottledTimeSeconds?: number;
  memTotalBytes: number;
  memRssBytes?: number;
  memCacheBytes?: number;
  memLimitBytes?: number;
  memPeakBytes?: number;
  processes?: number;
}

export interface ExecRequest {
  containerId: string;
  argv: string[];
  env?: Record<string, string>;
  tty: boolean;
  stdin: boolean;
  size?: { columns: number; rows: number };
}

export interface ExecSession {
  stdin?: NodeJS.WritableStream;
  stdout: NodeJS.ReadableStream;
  /** Absent with a TTY: the terminal is one stream. */
  stderr?: NodeJS.ReadableStream;
  resize(size: { columns: number; rows: number }): void;
  signal(signal: number): void;
  exit: Promise<{ exitCode?: number; signal?: number }>;
}

export interface Containerizer {
  readonly name: 'native' | 'oci' | 'docker' | 'composing';
  /** Why this containerizer cannot run the task, as `field: reason` sentences; empty when it can. */
  unsupported(task: Task): string[];
  /** Takes back what an earlier agent process left; destroys containers that are not in `expected`. Returns those still running or ended meanwhile. */
  recover(expected: string[]): Promise<{ containerId: string; running: boolean; launched?: LaunchedContainer }[]>;
  launch(spec: LaunchSpec, signal?: AbortSignal): Promise<LaunchedContainer>;
  wait(containerId: string): Promise<Termination>;
  /** Sends a signal to every process of the container. */
  signal(containerId: string, signal: number): Promise<void>;
  /** SIGKILLs everything, waits until it is gone, and removes cgroups, mounts and state; the sandbox stays. */
  destroy(containerId: string): Promise<void>;
  update(containerId: string, resources: ContainerResources): Promise<void>;
  usage(containerId: string): Promise<ResourceStatistics>;
  exec(request: ExecRequest): Promise<ExecSession>;
  /** Releases this process's handles; containers go on. */
  close(): Promise<void>;
}
