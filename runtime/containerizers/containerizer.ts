/**
 * What the agent asks of a containerizer (native, and later oci and docker). One container is one process tree with its own cgroups.
 *
 * Guarantees: `launch` either resolves with the command running, or rejects with ContainerLaunchFailed and has removed everything it made.
 * `destroy` is idempotent and tolerates unknown ids. `wait` resolves also for containers that ended while no agent was running.
 * Assumptions: container ids are unique for ever on this node; the caller has checkpointed its intent before `launch`.
 */
import type { Duplex, Readable } from 'node:stream';
import type {
  AgentContainerizer,
  AgentNetwork,
  ContainerUserIds,
  NetworkInfo,
  Task,
  TaskContainer,
} from '../../crds/types.generated.ts';
import type { Pressure } from '../cgroups/pressure.ts';
import type { PullPolicy, RegistryCredentials } from '../images/index.ts';

export interface LaunchSpec {
  /**
   * Of this run of the container, unique for ever. A task of one container has one id for both (`<uuid>`); in a task group it is
   * `<groupId>.<container name>`, and each restart in place appends `.<run>`.
   */
  containerId: string;
  task: Task;
  container: TaskContainer;
  /** The task's run that this container belongs to, made by `prepareGroup`. Absent: a task of one container that shares nothing. */
  groupId?: string;
  /** What to execute, entrypoint and command of an image already put together. Absent: `commandOf(container)`. */
  argv?: string[];
  /** Absolute path in the container. Absent: `container.workingDir`, else the sandbox. */
  workingDirectory?: string;
  /** For a containerizer that pulls images itself (`pullsImages`): how. */
  pull?: { policy: PullPolicy; credentials: RegistryCredentials[] };
  /** Root file system from an image. Absent: the host's files, read-only. */
  image?: ImageRoot;
  /** Absent: as `task.spec.network.mode` says, Host or None, made by the containerizer itself. */
  network?: ContainerNetwork;
  /** Own user ids. Absent: those of the host. */
  userNamespace?: UserNamespace;
  /** Device files beyond the usual ones, allowed by the agent and found on the host. */
  devices?: ContainerDevice[];
  /** Host directory that becomes the container's working directory; exists, owned by the user. Holds `stdout` and `stderr`. */
  sandbox: string;
  /** Resolved environment, already merged (secrets included): never logged. */
  env: Record<string, string>;
  user: { uid: number; gid: number; supplementalGids: number[]; name: string; home: string };
  /** Persistent and other host directories to bind into the container; sources are already resolved below their root. */
  mounts: ContainerMount[];
  /** What it may write lies on a file system with project quota, whose files it must not move between projects. Absent: no. */
  onProjectQuota?: boolean;
  /** Guaranteed and maximal resources in base units (cpus in cores, mem in bytes). */
  resources: ContainerResources;
}

/** A provisioned image: its layers stay where they are until the holder (the container's id) is released. */
export interface ImageRoot {
  /** As the document has it. */
  reference: string;
  /** `sha256:...` of the manifest for this platform. */
  digest: string;
  /** Unpacked layers, the uppermost first, as overlay's `lowerdir`. Directories on the host; never written to. */
  layers: string[];
}

/** What the containers of a task share of their network. `runtime/network` makes and removes it. */
export interface ContainerNetwork {
  /** A bind-mounted namespace file to join. Absent: Host or None as `task.spec.network.mode` says; only the files are given. */
  namespacePath?: string;
  /** Host name in the containers. Absent: the document's, else the agent's with its network and the task's without. */
  hostname?: string;
  /**
   * Files of this task that appear, read-only, at /etc/hosts, /etc/resolv.conf and /etc/hostname, over whatever is there in the container's root; with an
   * image also where nothing is. Owned by root, mode 0644, in directories that only root may enter.
   */
  files?: { hosts?: string; resolvConf?: string; hostname?: string };
}

/** One contiguous map for users and one for groups: `containerId` 0 .. `size`-1 is `hostId` .. on the host. */
export interface UserNamespace {
  uids: { hostId: number; size: number };
  gids: { hostId: number; size: number };
}

export interface ContainerDevice {
  /** Absolute path in the container. */
  path: string;
  type: 'c' | 'b';
  major: number;
  minor: number;
  /** Letters of r, w, m. */
  permissions: string;
  mode?: number;
  uid?: number;
  gid?: number;
}

export interface ContainerMount {
  /** What is mounted. Default: a bind of `source`. `overlay`: an image, read-only, `source` is the layers joined by colons, the uppermost first. */
  type?: 'bind' | 'overlay';
  source: string;
  /**
   * A directory that `source` must be in. It is then resolved below it at the moment of the mount, so that symbolic links that a task made or
   * swaps meanwhile never lead out. Give it for every source that is not entirely under the operator's control.
   */
  root?: string;
  /** Absolute path in the container, or relative to the sandbox. */
  target: string;
  readOnly: boolean;
  /** Default None: mounts made later on either side stay there. */
  propagation?: 'None' | 'HostToContainer' | 'Bidirectional';
}

export interface ContainerResources {
  requests: { cpus: number; memBytes: number };
  /** `Infinity` means unlimited; absent means equal to the request for memory and unlimited for cpus. */
  limits: {
    cpus?: number;
    memBytes?: number;
    /** Beside the memory; absent means none. */
    swapBytes?: number;
  };
  pids?: number;
}

export interface LaunchedContainer {
  containerId: string;
  /** Pid of the container's first process in the host's pid namespace, with its start time (field 22 of /proc/pid/stat): never trust a pid alone. */
  pid: number;
  startTimeTicks: number;
  startedAt: Date;
  /** Addresses in a network of the containerizer's own. */
  networkInfos?: NetworkInfo[];
  /** Whose user ids it has, and why those of the host where it might have had its own. Absent: not known. */
  userNamespace?: ContainerUserIds;
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
  /** What it shared with the task's other containers was lost, and it was ended with that. */
  groupLost?: boolean;
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
  /** Of the sandbox, when last measured; with a disk limit only. */
  diskUsedBytes?: number;
  diskLimitBytes?: number;
  processes?: number;
  swapBytes?: number;
  /** On cgroup v1 only of containers with `resources.io`. */
  diskReadBytes?: number;
  diskWrittenBytes?: number;
  diskReads?: number;
  diskWrites?: number;
  /** Pressure stall information; absent without a cgroup v2 mount. */
  pressure?: { cpu?: Pressure; memory?: Pressure; io?: Pressure };
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
  stdout: Readable;
  /** Absent with a TTY: the terminal is one stream. */
  stderr?: Readable;
  resize(size: { columns: number; rows: number }): void;
  signal(signal: number): void;
  /** Of `attach`: ends the container's standard input for good (a terminal is sent its end-of-file character). Absent: the end of `stdin` does. */
  closeStdin?(): void;
  /** Of `attach`: lets go without ending anything. Absent: the command ends with its session. */
  detach?(): void;
  exit: Promise<{ exitCode?: number; signal?: number }>;
}

export interface CopyRequest {
  containerId: string;
  /** As seen from the container: `send` gives a tar stream on stdout, `receive` takes one on stdin. */
  direction: 'send' | 'receive';
  /** In the container; relative to the working directory. To receive: a directory to put it into, or the new path of what comes. */
  path: string;
  /** The first part of all paths in the stream of `send`; what `receive` calls it in a directory that exists, `.` for the names in the stream. */
  name: string;
}

export interface AttachRequest {
  containerId: string;
  /** Whether its output is wanted. Default true. */
  output?: boolean;
  /** Whether what its terminal showed last comes first. Default false. */
  history?: boolean;
}

/** What the containers of one task share. */
export interface GroupSpec {
  groupId: string;
  task: Task;
  network?: ContainerNetwork;
  userNamespace?: UserNamespace;
  /** Sum of the containers' resources, enforced on all of them together (`spec.shareCgroups`). Absent: each container has its own limits. */
  resources?: ContainerResources;
}

export interface Containerizer {
  readonly name: 'native' | 'oci' | 'docker' | 'composing';
  /** Why this containerizer cannot run the task, as `field: reason` sentences; empty when it can. */
  unsupported(task: Task): string[];
  /** Whether it takes the images of this task from a store of its own: then the agent pulls none, and gives `LaunchSpec.pull`. Absent: never. */
  pullsImages?(task: Task): boolean;
  /** Whether it runs this task in networks of its own, those of `networks`: then the agent makes none, and no files of names. Absent: never. */
  hasOwnNetworks?(task: Task): boolean;
  /** Networks of its own that tasks with mode Cni may name, for Agent.status. */
  networks?(): Promise<AgentNetwork[]>;
  /**
   * Takes back what an earlier agent process left; destroys containers that are not in `expected`, again and again where one cannot be. Returns those still
   * running or ended meanwhile.
   */
  recover(expected: string[]): Promise<{ containerId: string; running: boolean; launched?: LaunchedContainer }[]>;
  /** Tries once more what `recover` could not destroy. Rejects with why one stays. */
  removeOrphans(): Promise<void>;
  /**
   * Makes what the containers of a group share: IPC (and with `namespaces.pid: Task` pid) namespace, /dev/shm, the cgroup above theirs. Before the first
   * launch with this `groupId`; idempotent, also for a later agent process. Absent: this containerizer runs tasks of one container only.
   */
  prepareGroup?(group: GroupSpec): Promise<void>;
  /** Resolves when what `prepareGroup` made is not there any more, whatever ended it. Its containers are ended then; it may be prepared again. */
  groupEnded?(groupId: string): Promise<void>;
  /** Removes it, after all containers of the group are destroyed. Idempotent, tolerates unknown ids. */
  destroyGroup?(groupId: string): Promise<void>;
  launch(spec: LaunchSpec, signal?: AbortSignal): Promise<LaunchedContainer>;
  wait(containerId: string): Promise<Termination>;
  /** Sends a signal to every process of the container. */
  signal(containerId: string, signal: number): Promise<void>;
  /** SIGKILLs everything, waits until it is gone, and removes cgroups, mounts and state; the sandbox stays. */
  destroy(containerId: string): Promise<void>;
  update(containerId: string, resources: ContainerResources): Promise<void>;
  usage(containerId: string): Promise<ResourceStatistics>;
  exec(request: ExecRequest): Promise<ExecSession>;
  /** Stops or resumes every process of the container (cgroup freezer). */
  freeze?(containerId: string, frozen: boolean): Promise<void>;
  /** Joins the standard streams of a container started with `stdin` or `tty`; its end detaches and ends nothing. Several may be attached. */
  attach?(request: AttachRequest): Promise<ExecSession>;
  /**
   * Copies files out of or into a running container, as an exec'd command of the container could, without needing one there. The session's exit code is 0, 1 when
   * it failed, 3 when something was left out; its stderr says what. Absent: not supported.
   */
  copy?(request: CopyRequest): Promise<ExecSession>;
  /** A TCP connection to a port on the container's own loopback (or `host`), as a byte stream. `signal` ends the attempt. */
  dial?(containerId: string, port: number, host?: string, signal?: AbortSignal): Promise<Duplex>;
  /** What the agent shows of its containerizers in Agent.status. */
  describe?(): Promise<AgentContainerizer[]>;
  /** Releases this process's handles; containers go on. */
  close(): Promise<void>;
}
