// Generated from crds/sources by `npm run generate`. Do not edit.

/** Metadata of every object. */
export interface ObjectMeta {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** A Kubernetes quantity as it stands in a document; read it with crds/quantity.ts. */
export type Quantity = number | string;

/** Labels and annotations of the tasks. */
export interface TemplateMetadata {
  /** Labels. */
  labels?: Record<string, string>;
  /** Annotations. */
  annotations?: Record<string, string>;
}

/** One requirement. */
export interface LabelSelectorRequirement {
  /** Label key. */
  key: string;
  /** How the label is compared. */
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  /** Values to compare with. */
  values?: string[];
}

/** Only agents whose labels match. */
export interface LabelSelector {
  /** Labels with exactly these values. */
  matchLabels?: Record<string, string>;
  /** Further requirements. */
  matchExpressions?: LabelSelectorRequirement[];
}

/** One constraint. */
export interface Constraint {
  /** Name of an agent attribute, or `hostname`, `@hostname`, `@region`, `@zone`. A missing attribute passes only Unlike. */
  field: string;
  /** Unique: at most one task per value. Cluster: all tasks on agents with the same value (`value`, else that of the first task). GroupBy: spread evenly over the values. Like, Unlike: the value matches, or does not match, a regular expression. MaxPer: at most `value` tasks per value. Is: the value equals `value`. */
  operator: 'Unique' | 'Cluster' | 'GroupBy' | 'Like' | 'Unlike' | 'MaxPer' | 'Is';
  /** Operand of the operator. */
  value?: string;
}

/** Which agents may be chosen. All parts must hold. */
export interface Placement {
  /** Only this agent. */
  agentName?: string;
  /** Only agents whose labels match. */
  agentSelector?: LabelSelector;
  /** Placement constraints with Marathon's operators; all must hold. */
  constraints?: Constraint[];
}

/** A key of a Secret of this namespace. */
export interface KeyRef {
  /** Name of the object. */
  name: string;
  /** Key in its data. */
  key: string;
  /** Leave the variable out when the object or key is missing. Default false, filled in by the API server. */
  optional?: boolean;
}

/** A field of the Task. */
export interface EnvFieldRef {
  /** One of metadata.name, metadata.namespace, metadata.uid, spec.frameworkName, spec.index, spec.role, spec.binding.agentName, or metadata.labels['key'] and metadata.annotations['key']. */
  fieldPath: string;
}

/** Takes the value from elsewhere; exactly one source. */
export interface EnvVarSource {
  /** A key of a Secret of this namespace. */
  secretKeyRef?: KeyRef;
  /** A key of a ConfigMap of this namespace. */
  configMapKeyRef?: KeyRef;
  /** A field of the Task. */
  fieldRef?: EnvFieldRef;
}

/** One variable. */
export interface EnvVar {
  /** Name. */
  name: string;
  /** Value; absent means empty. It is not expanded. */
  value?: string;
  /** Takes the value from elsewhere; exactly one source. */
  valueFrom?: EnvVarSource;
}

/** What the scheduler sets aside for the container on its agent. */
export interface ResourceRequests {
  /** Processor cores: 2, "0.5" or "500m". Processor time is shared in this proportion when the agent is busy. Default "100m", filled in by the API server. */
  cpus?: Quantity;
  /** Memory in bytes: "128Mi". Default "128Mi", filled in by the API server. */
  mem?: Quantity;
  /** Disk space in bytes: "10Gi". */
  disk?: Quantity;
  /** Whole GPUs. */
  gpus?: Quantity;
  /** Amounts of resources with names of your own (for example `licenses`), as scalars with up to three decimals. */
  custom?: Record<string, Quantity>;
}

/** What the container may use at most. */
export interface ResourceLimits {
  /** Cores as a CFS quota over 100 ms, or "Infinity". Absent: no quota. */
  cpus?: Quantity;
  /** Bytes, or "Infinity". A container that needs more is killed with reason ContainerLimitationMemory. Absent: requests.mem. */
  mem?: Quantity;
  /** Bytes of the sandbox. A container that needs more gets EDQUOT or is killed with reason ContainerLimitationDisk. Absent: requests.disk, and no limit without that. */
  disk?: Quantity;
  /** Bytes of swap beside the memory. Absent: no swap. */
  swap?: Quantity;
}

/** Limit for one page size. */
export interface HugepageLimit {
  /** Page size. */
  pageSize: string;
  /** Most bytes in pages of this size. */
  limit: Quantity;
}

/** Limits for one device; absent values are unlimited. */
export interface IoDeviceLimit {
  /** Device file on the agent. */
  path: string;
  /** Share of this device, 1 to 10000. */
  weight?: number;
  /** Most bytes read per second. */
  readBytesPerSecond?: Quantity;
  /** Most bytes written per second. */
  writeBytesPerSecond?: Quantity;
  /** Most reads per second. */
  readsPerSecond?: number;
  /** Most writes per second. */
  writesPerSecond?: number;
}

/** Disk input and output. */
export interface IoResources {
  /** Share of a busy disk, 1 to 10000. Absent: the kernel's default of 100. */
  weight?: number;
  /** Limits by device. */
  devices?: IoDeviceLimit[];
}

/** What the container is guaranteed, and what it may use at most. */
export interface ContainerResources {
  /** What the scheduler sets aside for the container on its agent. */
  requests?: ResourceRequests;
  /** What the container may use at most. */
  limits?: ResourceLimits;
  /** How the disk limit is kept. Quota: project quota of ext4 or XFS. File: a loop-mounted file of that size. Usage: measured, and killed above it. Auto: Quota where the file system has it, else Usage. Default "Auto", filled in by the API server. */
  diskEnforcement?: 'Auto' | 'Quota' | 'File' | 'Usage';
  /** Processors the container may run on, as a list such as "0-3,8". */
  cpuset?: string;
  /** NUMA nodes to take memory from; a list such as "0". */
  memoryNodes?: string;
  /** Give the container whole cores of one NUMA node where possible that no other container uses. requests.cpus must be a whole number. Default false, filled in by the API server. */
  exclusiveCpus?: boolean;
  /** Huge pages. */
  hugepages?: HugepageLimit[];
  /** Disk input and output. */
  io?: IoResources;
}

/** One port. With host networking the scheduler allocates a host port, unless `hostPort` names it, and the container listens on it: it gets it as `PORT_<NAME>` (and the first one as `PORT`). With Cni the host port leads to `containerPort`, which is then `PORT_<NAME>`, and the host port `HOST_PORT_<NAME>`; none is allocated where the task's networks cannot map ports. */
export interface ContainerPort {
  /** Name of the port; unique in the container. */
  name: string;
  /** Port in the container's own network. Default: the host port. */
  containerPort?: number;
  /** Port on the agent; 0 means that the scheduler takes a free one from the agent's range. Default 0, filled in by the API server. */
  hostPort?: number;
  /** Transport protocol. Default "TCP", filled in by the API server. */
  protocol?: 'TCP' | 'UDP';
}

/** One mount. */
export interface VolumeMount {
  /** Name of an entry of spec.volumes (or, in a Framework, of spec.volumeTemplates). */
  name: string;
  /** Absolute path in the container or a path relative to the sandbox. */
  mountPath: string;
  /** Path in the volume to mount. Default: its top. */
  subPath?: string;
  /** Mount read-only. Default false, filled in by the API server. */
  readOnly?: boolean;
  /** Whether mounts made later are seen on the other side: HostToContainer, or Bidirectional (only with a hostPath volume and `privileged`). Default "None", filled in by the API server. */
  propagation?: 'None' | 'HostToContainer' | 'Bidirectional';
}

/** One limit; without `soft` and `hard` it is unlimited. */
export interface Rlimit {
  /** Which limit. */
  type: 'RLMT_AS' | 'RLMT_CORE' | 'RLMT_CPU' | 'RLMT_DATA' | 'RLMT_FSIZE' | 'RLMT_LOCKS' | 'RLMT_MEMLOCK' | 'RLMT_MSGQUEUE' | 'RLMT_NICE' | 'RLMT_NOFILE' | 'RLMT_NPROC' | 'RLMT_RSS' | 'RLMT_RTPRIO' | 'RLMT_RTTIME' | 'RLMT_SIGPENDING' | 'RLMT_STACK';
  /** Soft limit in the limit's own unit. */
  soft?: number;
  /** Hard limit in the limit's own unit. */
  hard?: number;
}

/** Linux capabilities by name without CAP_. The agent's bounding set is an upper limit: asking for more is refused. */
export interface ContainerCapabilities {
  /** Capabilities that the process holds (also ambient when it is not root). An empty list drops all. Absent: the agent's small default set for root, none for other users. */
  effective?: ('AUDIT_CONTROL' | 'AUDIT_READ' | 'AUDIT_WRITE' | 'BLOCK_SUSPEND' | 'BPF' | 'CHECKPOINT_RESTORE' | 'CHOWN' | 'DAC_OVERRIDE' | 'DAC_READ_SEARCH' | 'FOWNER' | 'FSETID' | 'IPC_LOCK' | 'IPC_OWNER' | 'KILL' | 'LEASE' | 'LINUX_IMMUTABLE' | 'MAC_ADMIN' | 'MAC_OVERRIDE' | 'MKNOD' | 'NET_ADMIN' | 'NET_BIND_SERVICE' | 'NET_BROADCAST' | 'NET_RAW' | 'PERFMON' | 'SETFCAP' | 'SETGID' | 'SETPCAP' | 'SETUID' | 'SYSLOG' | 'SYS_ADMIN' | 'SYS_BOOT' | 'SYS_CHROOT' | 'SYS_MODULE' | 'SYS_NICE' | 'SYS_PACCT' | 'SYS_PTRACE' | 'SYS_RAWIO' | 'SYS_RESOURCE' | 'SYS_TIME' | 'SYS_TTY_CONFIG' | 'WAKE_ALARM')[];
  /** Capabilities that can ever be gained. Absent: the effective set. */
  bounding?: ('AUDIT_CONTROL' | 'AUDIT_READ' | 'AUDIT_WRITE' | 'BLOCK_SUSPEND' | 'BPF' | 'CHECKPOINT_RESTORE' | 'CHOWN' | 'DAC_OVERRIDE' | 'DAC_READ_SEARCH' | 'FOWNER' | 'FSETID' | 'IPC_LOCK' | 'IPC_OWNER' | 'KILL' | 'LEASE' | 'LINUX_IMMUTABLE' | 'MAC_ADMIN' | 'MAC_OVERRIDE' | 'MKNOD' | 'NET_ADMIN' | 'NET_BIND_SERVICE' | 'NET_BROADCAST' | 'NET_RAW' | 'PERFMON' | 'SETFCAP' | 'SETGID' | 'SETPCAP' | 'SETUID' | 'SYSLOG' | 'SYS_ADMIN' | 'SYS_BOOT' | 'SYS_CHROOT' | 'SYS_MODULE' | 'SYS_NICE' | 'SYS_PACCT' | 'SYS_PTRACE' | 'SYS_RAWIO' | 'SYS_RESOURCE' | 'SYS_TIME' | 'SYS_TTY_CONFIG' | 'WAKE_ALARM')[];
}

/** Filter of system calls. Default {"type":"RuntimeDefault"}, filled in by the API server. */
export interface SeccompProfile {
  /** RuntimeDefault: the profile of the agent. Unconfined: none. Localhost: a file. Default "RuntimeDefault", filled in by the API server. */
  type?: 'RuntimeDefault' | 'Unconfined' | 'Localhost';
  /** File with a Docker-format profile below the agent's seccomp directory. */
  localhostProfile?: string;
}

/** AppArmor profile; refused where the host has no AppArmor. */
export interface AppArmorProfile {
  /** RuntimeDefault: the agent's profile. Unconfined: none. Localhost: a loaded profile. */
  type: 'RuntimeDefault' | 'Unconfined' | 'Localhost';
  /** Name of a profile that is loaded on the agent. */
  localhostProfile?: string;
}

/** Privileges of the container. */
export interface ContainerSecurity {
  /** Linux capabilities by name without CAP_. The agent's bounding set is an upper limit: asking for more is refused. */
  capabilities?: ContainerCapabilities;
  /** setuid programs and file capabilities have no effect. Default true, filled in by the API server. */
  noNewPrivileges?: boolean;
  /** Filter of system calls. Default {"type":"RuntimeDefault"}, filled in by the API server. */
  seccompProfile?: SeccompProfile;
  /** AppArmor profile; refused where the host has no AppArmor. */
  appArmorProfile?: AppArmorProfile;
  /** Mount the root file system read-only. The sandbox and /tmp stay writable. Default true, filled in by the API server. */
  readOnlyRootFilesystem?: boolean;
  /** All capabilities, no seccomp filter, all devices, writable /sys. Only where the agent allows it. Default false, filled in by the API server. */
  privileged?: boolean;
  /** Private: own user ids, mapped to unused ones of the host. Host: the ids of the host. Auto: Private where the kernel and the agent support it. Default "Auto", filled in by the API server. */
  userNamespace?: 'Auto' | 'Private' | 'Host';
}

/** Kernel namespaces of the container. */
export interface ContainerNamespaces {
  /** Private: only its own processes are visible. Task: shared by the containers of the task. Host: all processes of the agent (only where the agent allows it). Default "Private", filled in by the API server. */
  pid?: 'Private' | 'Task' | 'Host';
  /** Private: System V IPC and /dev/shm of the task, shared by its containers. Host: those of the agent (only where the agent allows it). Default "Private", filled in by the API server. */
  ipc?: 'Private' | 'Host';
  /** Size of /dev/shm in bytes. Default: 64Mi. */
  shmSize?: Quantity;
}

/** One device. */
export interface DeviceRequest {
  /** Device file on the agent, for example /dev/fuse. */
  path?: string;
  /** Path in the container. Default: `path`. */
  containerPath?: string;
  /** Letters of r (read), w (write), m (mknod). Default: rw. */
  permissions?: string;
  /** Qualified name of a Container Device Interface device, for example vendor.com/class=name. */
  cdi?: string;
}

/** Runs a command in the container; exit code 0 is success. */
export interface ExecAction {
  /** Program and arguments. */
  command?: string[];
  /** A line for `/bin/sh -c`. */
  shell?: string;
}

/** An HTTP GET to the loopback address; 200 to 399 is success and redirects are followed. */
export interface HttpAction {
  /** Protocol; certificates are not verified. Default "HTTP", filled in by the API server. */
  scheme?: 'HTTP' | 'HTTPS';
  /** Path with query, starting with "/". Default "/", filled in by the API server. */
  path?: string;
  /** Port in the task's own network namespace. */
  port?: number;
  /** Name of one of the container's ports; the allocated host port with host networking. */
  portName?: string;
}

/** Opens a TCP connection to the loopback address; connecting is success. */
export interface TcpAction {
  /** Port in the task's own network namespace. */
  port?: number;
  /** Name of one of the container's ports; the allocated host port with host networking. */
  portName?: string;
}

/** Calls the standard gRPC health service; SERVING is success. */
export interface GrpcAction {
  /** Port in the task's own network namespace. */
  port?: number;
  /** Name of one of the container's ports; the allocated host port with host networking. */
  portName?: string;
  /** Service name to ask for; empty asks for the whole server. */
  service?: string;
}

/** Finds a container that runs but does not work. After `consecutiveFailures` the agent kills the task by its kill policy and reports it Killed with `healthy` false; nobody else is asked, so this works also while the agent is cut off. */
export interface HealthCheck {
  /** Runs a command in the container; exit code 0 is success. */
  exec?: ExecAction;
  /** An HTTP GET to the loopback address; 200 to 399 is success and redirects are followed. */
  http?: HttpAction;
  /** Opens a TCP connection to the loopback address; connecting is success. */
  tcp?: TcpAction;
  /** Calls the standard gRPC health service; SERVING is success. */
  grpc?: GrpcAction;
  /** Wait before the first check in seconds. Default 15, filled in by the API server. */
  delaySeconds?: number;
  /** Wait between the end of one check and the next in seconds. Default 10, filled in by the API server. */
  intervalSeconds?: number;
  /** A check that takes longer has failed; 0 means no timeout. Default 20, filled in by the API server. */
  timeoutSeconds?: number;
  /** Failures in this time after the launch do not count until the first success; it includes `delaySeconds`. Default 10, filled in by the API server. */
  gracePeriodSeconds?: number;
  /** Failures in a row until the task is killed; 0 means never. Default 3, filled in by the API server. */
  consecutiveFailures?: number;
}

/** Until it succeeds the task counts as not ready - during updates no further task is replaced - and it is never killed for it. */
export interface ReadinessCheck {
  /** Runs a command in the container; exit code 0 is success. */
  exec?: ExecAction;
  /** An HTTP GET to the loopback address; 200 to 399 is success and redirects are followed. */
  http?: HttpAction;
  /** Opens a TCP connection to the loopback address; connecting is success. */
  tcp?: TcpAction;
  /** Calls the standard gRPC health service; SERVING is success. */
  grpc?: GrpcAction;
  /** Wait between two checks in seconds. Default 30, filled in by the API server. */
  intervalSeconds?: number;
  /** A check that takes longer has failed. Default 10, filled in by the API server. */
  timeoutSeconds?: number;
  /** HTTP status codes that mean ready; default 200. */
  httpStatusCodesForReady?: number[];
  /** Keep the last HTTP answer (first 1 KiB) in the status of the container. Default false, filled in by the API server. */
  preserveLastResponse?: boolean;
}

/** Runs regularly and reports its result in status.checkStatus; nobody interprets it. */
export interface GenericCheck {
  /** Runs a command in the container; exit code 0 is success. */
  exec?: ExecAction;
  /** An HTTP GET to the loopback address; 200 to 399 is success and redirects are followed. */
  http?: HttpAction;
  /** Opens a TCP connection to the loopback address; connecting is success. */
  tcp?: TcpAction;
  /** Calls the standard gRPC health service; SERVING is success. */
  grpc?: GrpcAction;
  /** Wait before the first check in seconds. Default 15, filled in by the API server. */
  delaySeconds?: number;
  /** Wait between the end of one check and the next in seconds. Default 10, filled in by the API server. */
  intervalSeconds?: number;
  /** After this the result is empty; 0 means no timeout. Default 20, filled in by the API server. */
  timeoutSeconds?: number;
}

/** One file. */
export interface FetchUri {
  /** Address with scheme http, https or file. */
  value: string;
  /** Unpack .tar, .tar.gz, .tgz, .tar.bz2, .tbz2, .tar.xz, .txz, .tar.zst, .gz and .zip. Default true, filled in by the API server. */
  extract?: boolean;
  /** Set the execute bits; overrides `extract`. Default false, filled in by the API server. */
  executable?: boolean;
  /** Path in the sandbox. Default: last part of the address. */
  outputFile?: string;
  /** Keep the file in the agent's fetcher cache and share its download. Default false, filled in by the API server. */
  cache?: boolean;
  /** SHA-256 of the file in hexadecimal; a file with another one is refused. */
  sha256?: string;
  /** Give up when slower than one byte per second for this long. Default 60, filled in by the API server. */
  stallTimeoutSeconds?: number;
}

/** One container. */
export interface ContainerDependency {
  /** Name of the container. */
  name: string;
  /** What it must be first. Default "Started", filled in by the API server. */
  condition?: 'Started' | 'Healthy' | 'Completed';
}

/** One option. */
export interface DockerParameter {
  /** Long option without dashes: label, hostname, domainname, mac-address, dns, dns-search, dns-option, add-host, cap-drop, storage-opt or sysctl. Others are refused. */
  key: string;
  /** Value. */
  value: string;
}

/** For the containerizer docker only; the others refuse it. */
export interface DockerOptions {
  /** Further options of `docker run`, in their order. */
  parameters?: DockerParameter[];
}

/** Rotation of `stdout` and `stderr` in the sandbox. */
export interface ContainerLogs {
  /** A file of this many bytes is rotated. Default "10Mi", filled in by the API server. */
  maxSize?: Quantity;
  /** Rotated files kept beside the current one; 0 truncates instead. Default 2, filled in by the API server. */
  maxFiles?: number;
}

/** One container; a process tree with its own root, limits and checks. */
export interface TaskContainer {
  /** Name of the container; unique in its task. */
  name: string;
  /** OCI or Docker image as `[registry/]repository[:tag][@digest]`, or `oci:/dir`, `docker-archive:/file` or `oci-archive:/file` on the agent. Absent: the container sees the read-only file system of the host. */
  image?: string;
  /** When the image is pulled. Default: Always for tag `latest` or no tag, otherwise IfNotPresent. */
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  /** Program and leading arguments; executed directly. Overrides the entrypoint of the image. Excludes `shell`. */
  command?: string[];
  /** Arguments after `command`, or in place of the image's Cmd. */
  args?: string[];
  /** A line for `/bin/sh -c`. Excludes `command`. */
  shell?: string;
  /** Working directory in the container. Default: the image's, else the sandbox. */
  workingDir?: string;
  /** Environment. These win over variables that the agent or the image set. */
  env?: EnvVar[];
  /** User inside the container: "name", "uid" or "uid:gid". Default: spec.user of the task, then the image's, then the agent's (`nobody`). */
  user?: string;
  /** What the container is guaranteed, and what it may use at most. */
  resources?: ContainerResources;
  /** Most processes and threads at a time. Default: the agent's limit. */
  pidsLimit?: number;
  /** Ports the container listens on. */
  ports?: ContainerPort[];
  /** Where volumes of the task appear in this container. */
  volumeMounts?: VolumeMount[];
  /** Resource limits of processes (setrlimit). */
  rlimits?: Rlimit[];
  /** Privileges of the container. */
  security?: ContainerSecurity;
  /** Kernel namespaces of the container. */
  namespaces?: ContainerNamespaces;
  /** Devices beyond the usual ones (null, zero, full, random, urandom, tty, ptmx, pts). The agent must allow them. */
  devices?: DeviceRequest[];
  /** Finds a container that runs but does not work. After `consecutiveFailures` the agent kills the task by its kill policy and reports it Killed with `healthy` false; nobody else is asked, so this works also while the agent is cut off. */
  healthCheck?: HealthCheck;
  /** Until it succeeds the task counts as not ready - during updates no further task is replaced - and it is never killed for it. */
  readinessCheck?: ReadinessCheck;
  /** Runs regularly and reports its result in status.checkStatus; nobody interprets it. */
  check?: GenericCheck;
  /** Files fetched into the sandbox one after another before the start; the task fails when one cannot be fetched. */
  uris?: FetchUri[];
  /** Containers of this task that come first. */
  dependsOn?: ContainerDependency[];
  /** Give the container a terminal; stdout and stderr are then one stream. Default false, filled in by the API server. */
  tty?: boolean;
  /** Keep standard input open for `tepui attach`; otherwise it is /dev/null. Default false, filled in by the API server. */
  stdin?: boolean;
  /** First signal of a kill. Default: the image's, else SIGTERM. */
  stopSignal?: string;
  /** For the containerizer docker only; the others refuse it. */
  docker?: DockerOptions;
  /** Rotation of `stdout` and `stderr` in the sandbox. */
  logs?: ContainerLogs;
}

/** A Volume object of this namespace. The task runs on the Volume's agent and starts when it is Available. */
export interface PersistentVolumeSource {
  /** Name of the Volume. */
  volumeName: string;
  /** Mount it read-only in all containers. Default false, filled in by the API server. */
  readOnly?: boolean;
}

/** A file or directory of the agent. Only where the agent allows it. */
export interface HostPathSource {
  /** Path on the agent. */
  path: string;
  /** What must be there. The OrCreate types create it; the others fail the task when it is missing. Default "Any", filled in by the API server. */
  type?: 'Any' | 'Directory' | 'DirectoryOrCreate' | 'File' | 'FileOrCreate' | 'Socket' | 'CharDevice' | 'BlockDevice';
  /** Whether mounts made later are seen on the other side. Default "None", filled in by the API server. */
  propagation?: 'None' | 'HostToContainer' | 'Bidirectional';
}

/** A directory of a sandbox. */
export interface SandboxPathSource {
  /** Self: of the mounting container's own sandbox. Parent: of the task's sandbox, shared by its containers. Default "Self", filled in by the API server. */
  type?: 'Self' | 'Parent';
  /** Path in the sandbox; created when missing. */
  path: string;
}

/** An empty file system in memory, shared by the containers of the task. It counts as memory. */
export interface TmpfsSource {
  /** Size in bytes. Absent: half of the task's memory limit. */
  sizeLimit?: Quantity;
}

/** One key. */
export interface KeyToPath {
  /** Key. */
  key: string;
  /** Path of the file in the volume. */
  path: string;
  /** Permission bits. Default: defaultMode. */
  mode?: number;
}

/** Keys of a Secret as files in memory. */
export interface SecretSource {
  /** Name of the Secret in this namespace. */
  secretName: string;
  /** Which keys become which files. Default: every key becomes a file of its name. */
  items?: KeyToPath[];
  /** Permission bits of the files; 256 is 0400. Default 256, filled in by the API server. */
  defaultMode?: number;
  /** Start also when the Secret is missing. Default false, filled in by the API server. */
  optional?: boolean;
}

/** Keys of a ConfigMap as files in memory. */
export interface ConfigMapSource {
  /** Name of the ConfigMap in this namespace. */
  name: string;
  /** Which keys become which files. Default: every key becomes a file of its name. */
  items?: KeyToPath[];
  /** Permission bits of the files; 292 is 0444. Default 292, filled in by the API server. */
  defaultMode?: number;
  /** Start also when the ConfigMap is missing. Default false, filled in by the API server. */
  optional?: boolean;
}

/** The file system of an image, read-only. */
export interface ImageSource {
  /** Image as in a container. */
  reference: string;
  /** When the image is pulled; default as for a container. */
  pullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
}

/** A volume that exists already, mounted by a CSI node plug-in. Not implemented yet. */
export interface CsiSource {
  /** Name of the plug-in. */
  driver: string;
  /** Id of the volume for the plug-in. */
  volumeHandle: string;
  /** File system type. Default: the plug-in's. */
  fsType?: string;
  /** Mount it read-only. Default false, filled in by the API server. */
  readOnly?: boolean;
  /** Passed to the plug-in. */
  volumeAttributes?: Record<string, string>;
  /** Secret for staging. */
  nodeStageSecretName?: string;
  /** Secret for publishing. */
  nodePublishSecretName?: string;
}

/** A volume that containers of the task can mount; exactly one source. */
export interface TaskVolume {
  /** Name of the volume; unique in the task. */
  name: string;
  /** A Volume object of this namespace. The task runs on the Volume's agent and starts when it is Available. */
  volume?: PersistentVolumeSource;
  /** A file or directory of the agent. Only where the agent allows it. */
  hostPath?: HostPathSource;
  /** A directory of a sandbox. */
  sandboxPath?: SandboxPathSource;
  /** An empty file system in memory, shared by the containers of the task. It counts as memory. */
  tmpfs?: TmpfsSource;
  /** Keys of a Secret as files in memory. */
  secret?: SecretSource;
  /** Keys of a ConfigMap as files in memory. */
  configMap?: ConfigMapSource;
  /** The file system of an image, read-only. */
  image?: ImageSource;
  /** A volume that exists already, mounted by a CSI node plug-in. Not implemented yet. */
  csi?: CsiSource;
}

/** One pair. */
export interface KeyValue {
  /** Key. */
  key: string;
  /** Value; may be absent. */
  value?: string;
}

/** One network. */
export interface NetworkAttachment {
  /** Name in the agent's CNI configuration directory. */
  name: string;
  /** Name of the interface. Default: eth0, eth1 and so on. */
  interfaceName?: string;
  /** Addresses to ask for, where the network supports it. */
  ipAddresses?: string[];
  /** Passed to the plug-ins. */
  labels?: KeyValue[];
}

/** Names of one address. */
export interface HostAlias {
  /** Address. */
  ip: string;
  /** Names. */
  hostnames: string[];
}

/** Content of /etc/resolv.conf. Absent: the network's, else the agent's. */
export interface DnsConfig {
  /** Addresses of servers. */
  nameservers?: string[];
  /** Search domains. */
  search?: string[];
  /** Resolver options such as ndots:2. */
  options?: string[];
}

/** Network of the task, shared by its containers. */
export interface TaskNetwork {
  /** Host: the agent's network; ports are allocated. None: only loopback. Cni: the networks below. Default "Host", filled in by the API server. */
  mode?: 'Host' | 'None' | 'Cni';
  /** CNI networks to join; each gives an interface. */
  networks?: NetworkAttachment[];
  /** Host name in the container. Default: the agent's with mode Host, else the name of the task. */
  hostname?: string;
  /** Further lines of /etc/hosts. */
  hostAliases?: HostAlias[];
  /** Content of /etc/resolv.conf. Absent: the network's, else the agent's. */
  dns?: DnsConfig;
}

/** How the task is ended on request. */
export interface KillPolicy {
  /** Time between the stop signal to all processes and SIGKILL in seconds. Default 3, filled in by the API server. */
  gracePeriodSeconds?: number;
}

/** Delay before the next launch after failures; it grows by `factor` with each failure and starts again after a success or a change of the spec. Default {"initialSeconds":1,"factor":1.15,"maxSeconds":300}, filled in by the API server. */
export interface Backoff {
  /** Delay after the first failure in seconds. Default 1, filled in by the API server. */
  initialSeconds?: number;
  /** How much the delay grows with each further failure. Default 1.15, filled in by the API server. */
  factor?: number;
  /** Longest delay in seconds. Default 300, filled in by the API server. */
  maxSeconds?: number;
}

/** Restarts of ended containers by the agent on the same node. Frameworks make new Tasks on their own; this is for restarts in place. */
export interface RestartPolicy {
  /** When a container is started again. Default "Never", filled in by the API server. */
  condition?: 'Never' | 'OnFailure' | 'Always';
  /** Restarts after which the task fails. Absent: no limit. */
  maxRestarts?: number;
  /** Delay before the next launch after failures; it grows by `factor` with each failure and starts again after a success or a change of the spec. Default {"initialSeconds":1,"factor":1.15,"maxSeconds":300}, filled in by the API server. */
  backoff?: Backoff;
}

/** One Secret. */
export interface LocalObjectReference {
  /** Name of the Secret. */
  name: string;
}

/** Who should find it. */
export type Visibility = 'Framework' | 'Cluster' | 'External';

/** One port. */
export interface DiscoveryPort {
  /** Number. */
  number: number;
  /** Name. */
  name?: string;
  /** Protocol. */
  protocol?: string;
  /** Overrides that of the task. */
  visibility?: Visibility;
  /** Pairs that Tepui passes on and never interprets; keys may repeat, as in Mesos. */
  labels?: KeyValue[];
}

/** How others may find the task; Tepui only shows it. */
export interface Discovery {
  /** Who should find it. */
  visibility: Visibility;
  /** Service name. */
  name?: string;
  /** Environment such as production. */
  environment?: string;
  /** Location. */
  location?: string;
  /** Version. */
  version?: string;
  /** Pairs that Tepui passes on and never interprets; keys may repeat, as in Mesos. */
  labels?: KeyValue[];
  /** Ports. */
  ports?: DiscoveryPort[];
}

/** What the task runs, and where. */
export interface TaskTemplateSpec {
  /** Higher ones are placed first among the tasks of one role. Default 0, filled in by the API server. */
  priority?: number;
  /** Which agents may be chosen. All parts must hold. */
  placement?: Placement;
  /** The containers. They are placed together and end together; when one fails or is killed, so are the others. */
  containers: TaskContainer[];
  /** Run to completion one after another before `containers` start; the task fails when one fails. */
  initContainers?: TaskContainer[];
  /** Volumes that containers can mount. */
  volumes?: TaskVolume[];
  /** Network of the task, shared by its containers. */
  network?: TaskNetwork;
  /** User of all containers that name none: "name", "uid" or "uid:gid". Default: the agent's default user, `nobody`. */
  user?: string;
  /** How the task is ended on request. */
  killPolicy?: KillPolicy;
  /** A task that runs longer is killed and Failed with reason MaxCompletionTimeReached. Absent: no limit. */
  maxCompletionTimeSeconds?: number;
  /** Restarts of ended containers by the agent on the same node. Frameworks make new Tasks on their own; this is for restarts in place. */
  restartPolicy?: RestartPolicy;
  /** Containers use the sum of all limits together. False: each is held to its own limits. Default true, filled in by the API server. */
  shareCgroups?: boolean;
  /** The task may use resources that are set aside for others but idle and is killed when they are needed (oversubscription). Not implemented yet. Default false, filled in by the API server. */
  revocable?: boolean;
  /** Secrets of this namespace with registry credentials (type kubernetes.io/dockerconfigjson). */
  imagePullSecrets?: LocalObjectReference[];
  /** Labels in the sense of Mesos; never interpreted and keys may repeat. Kubernetes labels are in metadata. */
  taskLabels?: KeyValue[];
  /** How others may find the task; Tepui only shows it. */
  discovery?: Discovery;
}

/** The tasks to make. */
export interface TaskTemplate {
  /** Labels and annotations of the tasks. */
  metadata?: TemplateMetadata;
  /** What the task runs, and where. */
  spec: TaskTemplateSpec;
}

/** Which disk of the agent holds it. */
export interface VolumeDisk {
  /** Root: the agent's data directory. Path: a directory on another disk. Mount: a whole mount point. Default "Root", filled in by the API server. */
  type?: 'Root' | 'Path' | 'Mount';
  /** Name of an entry of the agent's spec.disks. Absent: any disk of the type. */
  name?: string;
  /** Only disks with this profile. */
  profile?: string;
}

/** Which agents may hold the volume. */
export interface VolumePlacement {
  /** Only this agent. */
  agentName?: string;
  /** Only agents whose labels match. */
  agentSelector?: LabelSelector;
}

/** Owner of the top directory; set at the first mount and not recursively. Absent: the user of the first task. */
export interface VolumeOwner {
  /** User name or uid on the agent. */
  user?: string;
  /** Group name or gid on the agent. */
  group?: string;
  /** Permission bits in octal, for example "0770". */
  mode?: string;
}

/** What the volume should be. */
export interface VolumeSpec {
  /** Size in bytes: "10Gi". May be changed later for Root and Path disks. */
  size: Quantity;
  /** Role that owns the volume. Default "*", filled in by the API server. */
  role?: string;
  /** Exclusive: one task at a time. Shared: any number. Default "Exclusive", filled in by the API server. */
  access?: 'Exclusive' | 'Shared';
  /** Which disk of the agent holds it. */
  disk?: VolumeDisk;
  /** What happens to the data when the Volume is deleted. Retain: it stays on the agent. Delete: it is removed. Default "Retain", filled in by the API server. */
  reclaimPolicy?: 'Retain' | 'Delete';
  /** Name of the directory on the agent; unique per role and agent. A directory that exists is taken over with its data. Default: <namespace>.<name>. */
  persistenceId?: string;
  /** Which agents may hold the volume. */
  placement?: VolumePlacement;
  /** WaitForFirstTask: the agent is chosen with the first task. Immediate: at once. Default "WaitForFirstTask", filled in by the API server. */
  bindingMode?: 'WaitForFirstTask' | 'Immediate';
  /** Owner of the top directory; set at the first mount and not recursively. Absent: the user of the first task. */
  owner?: VolumeOwner;
  /** How the size is kept. Quota: project quota of ext4 or XFS. File: a loop-mounted file of that size. Usage: measured; a task that lets it grow above its size is killed with reason ContainerLimitationDisk. A Mount disk is limited by itself. Auto: Quota where the file system has it, else Usage. Default "Auto", filled in by the API server. */
  enforcement?: 'Auto' | 'Quota' | 'File' | 'Usage';
}

/** One volume. */
export interface VolumeTemplate {
  /** Name for volumeMounts. */
  name: string;
  /** What the volume should be. */
  spec: VolumeSpec;
}

/** One Framework. */
export interface FrameworkDependency {
  /** Name. */
  name: string;
}

/** How a change of the template is rolled out. */
export interface UpdateStrategy {
  /** RollingUpdate: step by step within the capacities below. Recreate: all old tasks end first. Default "RollingUpdate", filled in by the API server. */
  type?: 'RollingUpdate' | 'Recreate';
  /** Share of `replicas` that stays ready during the update, from 0 to 1. Frameworks with exclusive volumes need less than 1. Default 1, filled in by the API server. */
  minimumHealthCapacity?: number;
  /** Share of `replicas` that may run in addition during the update, from 0 to 1; at least one task when both this and the other are 1. Default 1, filled in by the API server. */
  maximumOverCapacity?: number;
  /** A task counts as available when it was ready for this long. Default 0, filled in by the API server. */
  minReadySeconds?: number;
}

/** What happens to tasks whose agent is out of reach. */
export interface UnreachableStrategy {
  /** Never replace them. Frameworks with volumeTemplates always behave so, as the data is on that agent. Default false, filled in by the API server. */
  disabled?: boolean;
  /** A replacement is made after the task was unreachable for this long. Default 0, filled in by the API server. */
  inactiveAfterSeconds?: number;
  /** After this time the unreachable task is given up: if it comes back it is killed. Absent: the same as inactiveAfterSeconds. */
  expungeAfterSeconds?: number;
}

/** For type Job (and the jobs of Cron). */
export interface JobSpec {
  /** Tasks that must succeed. Default 1, filled in by the API server. */
  completions?: number;
  /** Tasks at a time. Default 1, filled in by the API server. */
  parallelism?: number;
  /** Indexed: task index 0 to completions-1 must each succeed once; the index is in TEPUI_TASK_INDEX. Default "NonIndexed", filled in by the API server. */
  completionMode?: 'NonIndexed' | 'Indexed';
  /** Failed tasks after which the Job has failed. Default 6, filled in by the API server. */
  backoffLimit?: number;
  /** A Job that takes longer has failed. Absent: no limit. */
  activeDeadlineSeconds?: number;
  /** The Framework is deleted this long after its end. Absent: never. */
  ttlSecondsAfterFinished?: number;
  /** End the running tasks and make no new ones until this is false again. Default false, filled in by the API server. */
  suspend?: boolean;
}

/** For type Cron. Not implemented yet. */
export interface CronSpec {
  /** Cron expression with five fields, `@hourly` and the like, or an ISO 8601 repetition such as R/2026-01-01T00:00:00Z/PT1H. */
  schedule: string;
  /** Name of a time zone. Default "UTC", filled in by the API server. */
  timeZone?: string;
  /** A run that could not start in this time is skipped. Absent: no limit. */
  startingDeadlineSeconds?: number;
  /** When a run is due and the last one still runs. Allow: run both. Forbid: skip. Replace: end the old one. Default "Forbid", filled in by the API server. */
  concurrencyPolicy?: 'Allow' | 'Forbid' | 'Replace';
  /** Start no further runs. Default false, filled in by the API server. */
  suspend?: boolean;
  /** Cron Frameworks of this namespace that must have succeeded since the last run. */
  parents?: string[];
}

/** Amounts of resources. */
export interface ResourceQuantities {
  /** Processor cores, with three decimals: 2, "0.5" or "500m". */
  cpus?: Quantity;
  /** Memory in bytes: "128Mi". */
  mem?: Quantity;
  /** Disk space in bytes: "10Gi". */
  disk?: Quantity;
  /** Whole GPUs. */
  gpus?: Quantity;
  /** Amounts of resources with names of your own (for example `licenses`), as scalars with up to three decimals. */
  custom?: Record<string, Quantity>;
}

/** For one role. */
export interface OfferFilter {
  /** Name of a role. `*` is the default role; `eng/prod` is a child of `eng`. */
  role: string;
  /** An offer must hold one of these; an empty list accepts any. */
  minAllocatable?: ResourceQuantities[];
}

/** One constraint. */
export interface OfferConstraint {
  /** Attribute name, or `@hostname`, `@region`, `@zone`. */
  field: string;
  /** Predicate. */
  operator: 'Exists' | 'NotExists' | 'TextEquals' | 'TextNotEquals' | 'TextMatches' | 'TextNotMatches';
  /** Operand. */
  value?: string;
}

/** All constraints must hold. */
export interface OfferConstraintGroup {
  /** Constraints. */
  constraints: OfferConstraint[];
}

/** For one role. */
export interface OfferConstraints {
  /** Name of a role. `*` is the default role; `eng/prod` is a child of `eng`. */
  role: string;
  /** One of these must hold. */
  groups: OfferConstraintGroup[];
}

/** For type External. What a Mesos framework says of itself. Not implemented yet. */
export interface ExternalFramework {
  /** Display name. Default: the name of this object. */
  name?: string;
  /** Default user of its tasks. */
  user?: string;
  /** Authenticated identity that may subscribe. */
  principal?: string;
  /** Host it runs on. */
  hostname?: string;
  /** Address of its web interface. */
  webuiUrl?: string;
  /** Its tasks are killed when it stays away for this long. Default 0, filled in by the API server. */
  failoverTimeoutSeconds?: number;
  /** Kept for compatibility; everything is always checkpointed. Default true, filled in by the API server. */
  checkpoint?: boolean;
  /** Pairs that Tepui passes on and never interprets; keys may repeat, as in Mesos. */
  labels?: KeyValue[];
  /** Roles it subscribes to. Default: spec.role. */
  roles?: string[];
  /** Roles for which it wants no offers now. */
  suppressedRoles?: string[];
  /** What it understands. */
  capabilities?: ('RevocableResources' | 'TaskKillingState' | 'GpuResources' | 'SharedResources' | 'PartitionAware' | 'MultiRole' | 'ReservationRefinement' | 'RegionAware')[];
  /** Smallest offers it wants. */
  offerFilters?: OfferFilter[];
  /** Agents it wants offers from. */
  offerConstraints?: OfferConstraints[];
}

/** How many ended Tasks are kept. */
export interface HistoryLimits {
  /** Finished ones. Default 10, filled in by the API server. */
  finished?: number;
  /** Those that ended otherwise. Default 10, filled in by the API server. */
  failed?: number;
}

/** The workload. */
export interface FrameworkSpec {
  /** Service: keeps `replicas` tasks running. Job: runs tasks until `completions` succeeded. Cron: a Job by a schedule. Daemon: one task on every matching agent. External: a program that speaks the Mesos scheduler API. Cron, Daemon and External are not implemented yet. Default "Service", filled in by the API server. */
  type?: 'Service' | 'Job' | 'Cron' | 'Daemon' | 'External';
  /** Role that the tasks are allocated to. Default "*", filled in by the API server. */
  role?: string;
  /** Tasks to keep running; only for Service. Default 1, filled in by the API server. */
  replicas?: number;
  /** Leave everything as it is; nothing is created or ended. Default false, filled in by the API server. */
  paused?: boolean;
  /** The tasks to make. */
  template?: TaskTemplate;
  /** Volumes to make: one of each per task index, named <name>-<framework>-<index>. Replacements of a task get the same Volume. They stay when the Framework is scaled down or deleted. */
  volumeTemplates?: VolumeTemplate[];
  /** Frameworks of this namespace that must be Ready, or Succeeded for a Job, before tasks are made. */
  dependsOn?: FrameworkDependency[];
  /** How a change of the template is rolled out. */
  updateStrategy?: UpdateStrategy;
  /** An update without progress for this long makes condition Stalled true. Default 600, filled in by the API server. */
  progressDeadlineSeconds?: number;
  /** Delay before the next launch after failures; it grows by `factor` with each failure and starts again after a success or a change of the spec. Default {"initialSeconds":1,"factor":1.15,"maxSeconds":300}, filled in by the API server. */
  backoff?: Backoff;
  /** Which tasks end first when scaling down. Default "YoungestFirst", filled in by the API server. */
  killSelection?: 'YoungestFirst' | 'OldestFirst';
  /** What happens to tasks whose agent is out of reach. */
  unreachableStrategy?: UnreachableStrategy;
  /** For type Job (and the jobs of Cron). */
  job?: JobSpec;
  /** For type Cron. Not implemented yet. */
  cron?: CronSpec;
  /** For type External. What a Mesos framework says of itself. Not implemented yet. */
  external?: ExternalFramework;
  /** How many ended Tasks are kept. */
  historyLimits?: HistoryLimits;
}

/** Delay of the next launch. */
export interface BackoffStatus {
  /** Failures in a row. */
  failures?: number;
  /** Current delay in seconds. */
  delaySeconds?: number;
  /** When the next launch may happen. */
  untilTime?: string;
}

/** Subscription of an external framework. */
export interface ExternalFrameworkStatus {
  /** Id given at its first subscription. */
  frameworkId?: string;
  /** Whether it is subscribed now. */
  connected?: boolean;
  /** When it last subscribed. */
  subscribedTime?: string;
  /** Since when it is away. */
  disconnectedTime?: string;
}

/** One condition. */
export interface Condition {
  /** Name of the condition. */
  type: string;
  /** Whether it holds. */
  status: 'True' | 'False' | 'Unknown';
  /** The metadata.generation that this condition was computed from. */
  observedGeneration?: number;
  /** When `status` last changed. */
  lastTransitionTime: string;
  /** Why, as one CamelCase word. */
  reason: string;
  /** Why, in a sentence for people. */
  message: string;
}

/** What the workload is. Written by the framework controller. */
export interface FrameworkStatus {
  /** The metadata.generation that this status describes; when it is older, the status is not up to date yet. */
  observedGeneration?: number;
  /** Tasks that are not terminal. */
  replicas?: number;
  /** Tasks that run and are ready. */
  readyReplicas?: number;
  /** Tasks of the current template. */
  updatedReplicas?: number;
  /** Tasks that have been ready for minReadySeconds. */
  availableReplicas?: number;
  /** Tasks whose agent is out of reach. */
  unreachableReplicas?: number;
  /** Label selector of the tasks; for autoscalers. */
  selector?: string;
  /** Revision of the last completed rollout. */
  currentRevision?: string;
  /** Revision of the current template. */
  updateRevision?: string;
  /** Running tasks of a Job. */
  active?: number;
  /** Tasks of a Job that succeeded. */
  succeeded?: number;
  /** Tasks of a Job that failed. */
  failed?: number;
  /** Indexes that succeeded, as "0-3,5". */
  completedIndexes?: string;
  /** Indexes that failed, as "0-3,5". */
  failedIndexes?: string;
  /** When the Job began. */
  startTime?: string;
  /** When the Job succeeded or failed. */
  completionTime?: string;
  /** When a Cron last started a run. */
  lastScheduleTime?: string;
  /** When a Cron starts the next run. */
  nextScheduleTime?: string;
  /** When a run of a Cron last succeeded. */
  lastSuccessfulTime?: string;
  /** When the rollout last moved; for progressDeadlineSeconds. */
  lastProgressTime?: string;
  /** uids of ended Tasks of a Job that are counted already but still exist. */
  countedTasks?: string[];
  /** Delay of the next launch. */
  backoff?: BackoffStatus;
  /** Subscription of an external framework. */
  external?: ExternalFrameworkStatus;
  /** Ready, Succeeded, Failed, Reconciling, Stalled, Suspended. */
  conditions?: Condition[];
}

/** A Framework is a workload and its policy. It makes Tasks and Volumes and keeps them as declared. */
export interface Framework {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  /** The workload. */
  spec: FrameworkSpec;
  /** What the workload is. Written by the framework controller. */
  status?: FrameworkStatus;
}

/** One port. */
export interface HostPort {
  /** Name of the container. */
  container: string;
  /** Name of the port. */
  name: string;
  /** Port on the agent. */
  hostPort: number;
  /** Transport protocol. Default "TCP", filled in by the API server. */
  protocol?: 'TCP' | 'UDP';
}

/** Where the task runs. Written once by the scheduler. */
export interface TaskBinding {
  /** The agent. */
  agentName: string;
  /** uid of the Agent object. */
  agentUid?: string;
  /** When the scheduler decided. */
  boundTime?: string;
  /** Allocated host ports. */
  hostPorts?: HostPort[];
}

/** Identity of a task that a framework launched through the Mesos scheduler API. Not implemented yet. */
export interface ExternalTask {
  /** Task id chosen by the framework; any characters but slashes and control characters. */
  taskId?: string;
  /** Task name. */
  taskName?: string;
  /** Framework id. */
  frameworkId?: string;
  /** Executor id. */
  executorId?: string;
  /** ExecutorInfo as the framework sent it. */
  executor?: Record<string, unknown>;
  /** Opaque bytes for the executor. */
  data?: string;
}

/** What the task runs, and where. Frameworks make Tasks; a Task of your own needs no Framework. */
export interface TaskSpec {
  /** Higher ones are placed first among the tasks of one role. Default 0, filled in by the API server. */
  priority?: number;
  /** Which agents may be chosen. All parts must hold. */
  placement?: Placement;
  /** The containers. They are placed together and end together; when one fails or is killed, so are the others. */
  containers: TaskContainer[];
  /** Run to completion one after another before `containers` start; the task fails when one fails. */
  initContainers?: TaskContainer[];
  /** Volumes that containers can mount. */
  volumes?: TaskVolume[];
  /** Network of the task, shared by its containers. */
  network?: TaskNetwork;
  /** User of all containers that name none: "name", "uid" or "uid:gid". Default: the agent's default user, `nobody`. */
  user?: string;
  /** How the task is ended on request. */
  killPolicy?: KillPolicy;
  /** A task that runs longer is killed and Failed with reason MaxCompletionTimeReached. Absent: no limit. */
  maxCompletionTimeSeconds?: number;
  /** Restarts of ended containers by the agent on the same node. Frameworks make new Tasks on their own; this is for restarts in place. */
  restartPolicy?: RestartPolicy;
  /** Containers use the sum of all limits together. False: each is held to its own limits. Default true, filled in by the API server. */
  shareCgroups?: boolean;
  /** The task may use resources that are set aside for others but idle and is killed when they are needed (oversubscription). Not implemented yet. Default false, filled in by the API server. */
  revocable?: boolean;
  /** Secrets of this namespace with registry credentials (type kubernetes.io/dockerconfigjson). */
  imagePullSecrets?: LocalObjectReference[];
  /** Labels in the sense of Mesos; never interpreted and keys may repeat. Kubernetes labels are in metadata. */
  taskLabels?: KeyValue[];
  /** How others may find the task; Tepui only shows it. */
  discovery?: Discovery;
  /** Framework that made this task. */
  frameworkName?: string;
  /** Number of this task in its Framework, from 0; replacements keep it. */
  index?: number;
  /** Role that the resources are allocated to. Default "*", filled in by the API server. */
  role?: string;
  /** Frozen stops every process of the task where it is, until Running resumes them; a task that was not started yet waits. Checks pause, maxCompletionTimeSeconds goes on. Killed asks for the end of the task by its kill policy and is final. Default "Running", filled in by the API server. */
  desiredState?: 'Running' | 'Frozen' | 'Killed';
  /** Where the task runs. Written once by the scheduler. */
  binding?: TaskBinding;
  /** Identity of a task that a framework launched through the Mesos scheduler API. Not implemented yet. */
  external?: ExternalTask;
}

/** Mesos task state. Terminal: Finished, Failed, Killed, Error, Dropped, Gone, GoneByOperator. */
export type TaskState = 'Staging' | 'Starting' | 'Running' | 'Killing' | 'Finished' | 'Failed' | 'Killed' | 'Error' | 'Dropped' | 'Unreachable' | 'Gone' | 'GoneByOperator';

/** Who reported it. */
export type StatusSource = 'Controller' | 'Agent' | 'Executor';

/** The limit that ended the task. */
export interface TaskLimitation {
  /** Name of the resource, for example mem. */
  resource: string;
  /** The limit. */
  limit?: Quantity;
  /** What was used. */
  used?: Quantity;
}

/** Whose user ids its last run has. */
export interface ContainerUserIds {
  /** Private: ids of its own. Host: the ids of the host. */
  mode: 'Private' | 'Host';
  /** Why it has the ids of the host, where security.userNamespace is Auto. */
  message?: string;
}

/** Progress of an image pull or fetch. */
export interface TransferProgress {
  /** What is transferred. */
  item?: string;
  /** Bytes done. */
  doneBytes?: number;
  /** Bytes in all, where known. */
  totalBytes?: number;
}

/** State of one container. */
export interface ContainerStatus {
  /** Name. */
  name: string;
  /** Whether it is an init container. */
  init?: boolean;
  /** State in its life. */
  state?: 'Waiting' | 'Pulling' | 'Fetching' | 'Starting' | 'Running' | 'Restarting' | 'Killing' | 'Finished' | 'Failed' | 'Killed';
  /** Why. */
  reason?: string;
  /** Why, in a sentence. */
  message?: string;
  /** Id of its last run. */
  containerId?: string;
  /** Result of its readiness check. */
  ready?: boolean;
  /** Result of its health check. */
  healthy?: boolean;
  /** Exit code of its last run. */
  exitCode?: number;
  /** Signal that ended its last run. */
  signal?: number;
  /** Restarts in place. */
  restarts?: number;
  /** Host pid of its first process. */
  pid?: number;
  /** Image with digest. */
  image?: string;
  /** Whose user ids its last run has. */
  userNamespace?: ContainerUserIds;
  /** Last answer of the readiness check. */
  lastReadinessResponse?: string;
  /** When its last run started. */
  startTime?: string;
  /** When its last run ended. */
  finishTime?: string;
  /** Progress of an image pull or fetch. */
  progress?: TransferProgress;
}

/** One change. */
export interface TaskHistoryEntry {
  /** Mesos task state. Terminal: Finished, Failed, Killed, Error, Dropped, Gone, GoneByOperator. */
  state: TaskState;
  /** Why. */
  reason?: string;
  /** Who reported it. */
  source?: StatusSource;
  /** Why, in a sentence. */
  message?: string;
  /** When. */
  time: string;
}

/** One reason. */
export interface PlacementReason {
  /** One word, for example InsufficientMem. */
  reason: string;
  /** Agents refused for it. */
  agents: number;
  /** Details. */
  message?: string;
}

/** Why the task is not placed yet. */
export interface PlacementStatus {
  /** Agents looked at. */
  totalAgents?: number;
  /** When the scheduler last tried and the answer changed. */
  lastAttemptTime?: string;
  /** Reasons with the number of agents; the counts add up to totalAgents. */
  reasons?: PlacementReason[];
}

/** One port. */
export interface PortMapping {
  /** Port of the agent. */
  hostPort: number;
  /** Port in the container. */
  containerPort: number;
  /** Protocol. */
  protocol: 'TCP' | 'UDP';
}

/** One network interface. */
export interface NetworkInfo {
  /** Name of the network; empty for the host's. */
  name?: string;
  /** Interface in the container. */
  interfaceName?: string;
  /** Addresses. */
  ipAddresses?: string[];
  /** Gateways. */
  gateways?: string[];
  /** Hardware address. */
  macAddress?: string;
  /** Ports of the agent that lead to this interface. */
  portMappings?: PortMapping[];
}

/** Last result of the generic check; no result after a timeout. */
export interface CheckStatus {
  /** Kind of the check. */
  type?: 'Exec' | 'HTTP' | 'TCP' | 'GRPC';
  /** Exit code of a command. */
  exitCode?: number;
  /** HTTP status code. */
  statusCode?: number;
  /** Whether the TCP connection was made or gRPC said SERVING. */
  succeeded?: boolean;
  /** When. */
  time?: string;
}

/** Disk space of the sandbox; updated at coarse steps. */
export interface DiskUsage {
  /** Bytes used. */
  used?: Quantity;
  /** Limit in bytes. */
  limit?: Quantity;
}

/** Acknowledgement of updates by a framework of the Mesos scheduler API. */
export interface ExternalTaskStatus {
  /** Id of the last update. */
  updateUuid?: string;
  /** Last update that the framework acknowledged. */
  acknowledgedUuid?: string;
}

/** What happened to the task. Written by the controllers until it is bound, by its agent after that. */
export interface TaskStatus {
  /** The metadata.generation that this status describes; when it is older, the status is not up to date yet. */
  observedGeneration?: number;
  /** Mesos task state. Terminal: Finished, Failed, Killed, Error, Dropped, Gone, GoneByOperator. */
  state?: TaskState;
  /** Why, as one word: a Mesos reason in CamelCase such as ContainerLimitationMemory, or Unscheduled, ExitCode, Signaled. */
  reason?: string;
  /** Who reported it. */
  source?: StatusSource;
  /** Why, in a sentence. */
  message?: string;
  /** Result of the health checks; absent without one. */
  healthy?: boolean;
  /** Exit code of the container that decided the end of the task. */
  exitCode?: number;
  /** Signal that ended it. */
  signal?: number;
  /** Unique id of this run on the agent. */
  containerId?: string;
  /** When the containers started. */
  startTime?: string;
  /** When the task reached a terminal state. */
  finishTime?: string;
  /** Since when the agent is out of reach. */
  unreachableTime?: string;
  /** Boot id of the agent's machine; another one means that the processes are gone. */
  bootId?: string;
  /** status.agentId of the agent. */
  agentId?: string;
  /** Sandbox directory on the agent. */
  sandboxPath?: string;
  /** The limit that ended the task. */
  limitation?: TaskLimitation;
  /** State of each container. */
  containers?: ContainerStatus[];
  /** The last 20 changes of state, oldest first; consecutive equal states are one entry. */
  history?: TaskHistoryEntry[];
  /** Why the task is not placed yet. */
  placement?: PlacementStatus;
  /** Addresses of the task. */
  networkInfos?: NetworkInfo[];
  /** Last result of the generic check; no result after a timeout. */
  checkStatus?: CheckStatus;
  /** Disk space of the sandbox; updated at coarse steps. */
  disk?: DiskUsage;
  /** Acknowledgement of updates by a framework of the Mesos scheduler API. */
  external?: ExternalTaskStatus;
  /** Scheduled, Ready (every container runs, healthy and ready as far as it has checks), Succeeded; Healthy with health checks, Frozen, and SpecApplied when spec was changed after the launch. */
  conditions?: Condition[];
}

/** A Task is one unit of work on one agent. One or more containers that start and end together. */
export interface Task {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  /** What the task runs, and where. Frameworks make Tasks; a Task of your own needs no Framework. */
  spec: TaskSpec;
  /** What happened to the task. Written by the controllers until it is bound, by its agent after that. */
  status?: TaskStatus;
}

/** Pending: no agent yet. Bound: an agent is chosen. Available: the directory exists. Deleting: the agent removes the data. Deleted: the data is gone. */
export type VolumeState = 'Pending' | 'Bound' | 'Available' | 'Deleting' | 'Deleted';

/** Where the volume is. Written by the scheduler, the volume controller and the agent. */
export interface VolumeStatus {
  /** The metadata.generation that this status describes; when it is older, the status is not up to date yet. */
  observedGeneration?: number;
  /** Pending: no agent yet. Bound: an agent is chosen. Available: the directory exists. Deleting: the agent removes the data. Deleted: the data is gone. */
  state?: VolumeState;
  /** Why, as one word. */
  reason?: string;
  /** Why, in a sentence. */
  message?: string;
  /** Agent that holds the data. Written once. */
  agentName?: string;
  /** uid of that Agent object. */
  agentUid?: string;
  /** Entry of the agent's spec.disks that holds the data; absent for the root disk. Written once, with agentName. */
  diskName?: string;
  /** Directory on the agent. */
  path?: string;
  /** Size in bytes that the agent provides. */
  capacity?: Quantity;
  /** Bytes used when last measured. */
  used?: Quantity;
  /** Names of the tasks that use it now. */
  usedBy?: string[];
  /** When the agent was chosen. */
  boundTime?: string;
  /** Ready, AgentReachable. */
  conditions?: Condition[];
}

/** A Volume is a directory on an agent's disk that outlives tasks. Its data is deleted only by deleting the Volume with reclaim policy Delete. */
export interface Volume {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  /** What the volume should be. */
  spec: VolumeSpec;
  /** Where the volume is. Written by the scheduler, the volume controller and the agent. */
  status?: VolumeStatus;
}

/** Overrides what the agent detects by name; an explicit 0 is not the same as absent. */
export interface AgentResources {
  /** Processor cores, with three decimals: 8 or "7500m". */
  cpus?: Quantity;
  /** Memory in bytes: "16Gi". */
  mem?: Quantity;
  /** Disk space of the root disk in bytes: "100Gi". */
  disk?: Quantity;
  /** Whole GPUs. */
  gpus?: Quantity;
  /** Host ports as inclusive ranges: "31000-32000" or "80,31000-31999". An empty string means none. */
  ports?: string;
  /** Amounts of resources with names of your own (for example `licenses`), as scalars with up to three decimals. */
  custom?: Record<string, Quantity>;
}

/** One attribute with exactly one value. */
export interface AgentAttribute {
  /** Name. */
  name: string;
  /** Text. */
  text?: string;
  /** Number with up to three decimals. */
  scalar?: number;
  /** Inclusive ranges such as "1-10,20". */
  ranges?: string;
  /** Set of texts. */
  set?: string[];
}

/** Where the machine stands. */
export interface FaultDomain {
  /** Region. */
  region?: string;
  /** Zone in the region. */
  zone?: string;
}

/** One disk. */
export interface AgentDisk {
  /** Name. */
  name: string;
  /** Path: a directory that is divided. Mount: a mount point that holds one volume. */
  type: 'Path' | 'Mount';
  /** Directory or mount point. */
  path: string;
  /** Size in bytes. Default: that of the file system. */
  size?: Quantity;
  /** Name of a class of disks. */
  profile?: string;
}

/** One reservation. */
export interface Reservation {
  /** Name. */
  name: string;
  /** Role. */
  role: string;
  /** Static: fixed by the operator. Dynamic: made while running and can be given back. Default "Dynamic", filled in by the API server. */
  type?: 'Static' | 'Dynamic';
  /** Who made it. */
  principal?: string;
  /** Pairs that Tepui passes on and never interprets; keys may repeat, as in Mesos. */
  labels?: KeyValue[];
  /** Name of the reservation that this one is taken from; its role must be an ancestor of this role. */
  refines?: string;
  /** Disk of spec.disks that resources.disk is taken from. Default: the root disk. */
  disk?: string;
  /** What is reserved. */
  resources: AgentResources;
}

/** Ends all tasks of this agent and places no new ones. Remove the field to use the agent again. Not implemented yet: no new tasks come, running ones go on. */
export interface AgentDrain {
  /** Tasks get at most this long between the stop signal and SIGKILL. Absent: their own grace period. */
  maxGracePeriodSeconds?: number;
  /** Mark the agent gone when it is drained. Default false, filled in by the API server. */
  markGone?: boolean;
}

/** Planned maintenance. */
export interface Unavailability {
  /** When it begins. */
  startTime: string;
  /** How long. Absent: for ever. */
  durationSeconds?: number;
}

/** User ids that tasks have for themselves on this machine. */
export interface UserNamespacePolicy {
  /** Give each task ids of its own, for containers whose security.userNamespace is Auto or Private. False: Auto means the ids of the host and Private is refused. Default true, filled in by the API server. */
  enabled?: boolean;
  /** The first user and group id of the host that a task may be given. The default is where by convention nobody else has any. Default 1879048192, filled in by the API server. */
  firstHostId?: number;
  /** How many ids a task has. Containers whose user or group ids are higher have the ids of the host. Default 65536, filled in by the API server. */
  idsPerTask?: number;
}

/** Policy for containers on this machine. */
export interface AgentIsolation {
  /** Isolators not to use. */
  disabledIsolators?: string[];
  /** Allow `privileged` containers. Default false, filled in by the API server. */
  allowPrivileged?: boolean;
  /** Allow pid and ipc namespaces of the host. Default false, filled in by the API server. */
  allowHostNamespaces?: boolean;
  /** Directories that hostPath volumes and files fetched by `file:` addresses may be in or below. Default none. */
  allowedHostPaths?: string[];
  /** Device files that containers may ask for. Default none. */
  allowedDevices?: string[];
  /** Allow seccompProfile and appArmorProfile of type Unconfined. Default false, filled in by the API server. */
  allowUnconfined?: boolean;
  /** Container Device Interface devices that containers may ask for by name, as vendor.com/class=name, or vendor.com/class for all of a kind. Default none. GPUs are asked for as the resource gpus instead. */
  allowedCdiDevices?: string[];
  /** Directories with CDI specifications; a device of a later one takes precedence. Absent: /etc/cdi and /var/run/cdi. */
  cdiDirectories?: string[];
  /** Kinds of CDI devices that are GPUs: each whole one is a unit of the resource gpus, and is given to one task at a time. Absent: nvidia.com/gpu and amd.com/gpu. */
  gpuKinds?: string[];
  /** Capabilities of containers that name none. Absent: the small built-in set. */
  defaultCapabilities?: ('AUDIT_CONTROL' | 'AUDIT_READ' | 'AUDIT_WRITE' | 'BLOCK_SUSPEND' | 'BPF' | 'CHECKPOINT_RESTORE' | 'CHOWN' | 'DAC_OVERRIDE' | 'DAC_READ_SEARCH' | 'FOWNER' | 'FSETID' | 'IPC_LOCK' | 'IPC_OWNER' | 'KILL' | 'LEASE' | 'LINUX_IMMUTABLE' | 'MAC_ADMIN' | 'MAC_OVERRIDE' | 'MKNOD' | 'NET_ADMIN' | 'NET_BIND_SERVICE' | 'NET_BROADCAST' | 'NET_RAW' | 'PERFMON' | 'SETFCAP' | 'SETGID' | 'SETPCAP' | 'SETUID' | 'SYSLOG' | 'SYS_ADMIN' | 'SYS_BOOT' | 'SYS_CHROOT' | 'SYS_MODULE' | 'SYS_NICE' | 'SYS_PACCT' | 'SYS_PTRACE' | 'SYS_RAWIO' | 'SYS_RESOURCE' | 'SYS_TIME' | 'SYS_TTY_CONFIG' | 'WAKE_ALARM')[];
  /** Most capabilities that a container can ask for. Absent: those that stay within the container (CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT, SETPCAP, SETFCAP, IPC_LOCK). */
  boundingCapabilities?: ('AUDIT_CONTROL' | 'AUDIT_READ' | 'AUDIT_WRITE' | 'BLOCK_SUSPEND' | 'BPF' | 'CHECKPOINT_RESTORE' | 'CHOWN' | 'DAC_OVERRIDE' | 'DAC_READ_SEARCH' | 'FOWNER' | 'FSETID' | 'IPC_LOCK' | 'IPC_OWNER' | 'KILL' | 'LEASE' | 'LINUX_IMMUTABLE' | 'MAC_ADMIN' | 'MAC_OVERRIDE' | 'MKNOD' | 'NET_ADMIN' | 'NET_BIND_SERVICE' | 'NET_BROADCAST' | 'NET_RAW' | 'PERFMON' | 'SETFCAP' | 'SETGID' | 'SETPCAP' | 'SETUID' | 'SYSLOG' | 'SYS_ADMIN' | 'SYS_BOOT' | 'SYS_CHROOT' | 'SYS_MODULE' | 'SYS_NICE' | 'SYS_PACCT' | 'SYS_PTRACE' | 'SYS_RAWIO' | 'SYS_RESOURCE' | 'SYS_TIME' | 'SYS_TTY_CONFIG' | 'WAKE_ALARM')[];
  /** User of containers that name none. Default "nobody", filled in by the API server. */
  defaultUser?: string;
  /** pidsLimit of containers that name none. Default 4096, filled in by the API server. */
  defaultPidsLimit?: number;
  /** User ids that tasks have for themselves on this machine. */
  userNamespaces?: UserNamespacePolicy;
  /** Kill containers with host networking that listen on ports they were not given. Default false, filled in by the API server. */
  enforcePorts?: boolean;
}

/** Revocable resources. Not implemented yet. */
export interface Oversubscription {
  /** Offer these as revocable beside the normal ones. */
  fixed?: ResourceQuantities;
  /** Kill revocable tasks when the load average over 5 minutes is above this. */
  killAboveLoad5?: number;
  /** Kill revocable tasks when the load average over 15 minutes is above this. */
  killAboveLoad15?: number;
}

/** What is removed when. Absent: a sandbox is removed with its Task document. */
export interface AgentHousekeeping {
  /** Sandboxes of ended tasks are removed after this time; earlier when the disk fills. Default 604800, filled in by the API server. */
  sandboxRetentionSeconds?: number;
  /** Share of the disk to keep free. Default 0.1, filled in by the API server. */
  diskHeadroom?: number;
}

/** What the operator wants of this machine. */
export interface AgentSpec {
  /** Overrides what the agent detects by name; an explicit 0 is not the same as absent. */
  resources?: AgentResources;
  /** Facts for placement constraints. Order is kept and names may repeat; constraints use the first match. */
  attributes?: AgentAttribute[];
  /** Where the machine stands. */
  domain?: FaultDomain;
  /** Disks for volumes beside the root disk. */
  disks?: AgentDisk[];
  /** Resources set aside for roles. Not implemented yet, so an agent that has some is given no tasks. */
  reservations?: Reservation[];
  /** Role that all unreserved resources are reserved for; `*` means none, and others are not implemented yet. Default "*", filled in by the API server. */
  defaultRole?: string;
  /** Place no new tasks here; running ones go on. Default false, filled in by the API server. */
  deactivated?: boolean;
  /** Ends all tasks of this agent and places no new ones. Remove the field to use the agent again. Not implemented yet: no new tasks come, running ones go on. */
  drain?: AgentDrain;
  /** States that this machine is lost for ever: its tasks become GoneByOperator and its volumes are lost. Cannot be taken back. Default false, filled in by the API server. */
  gone?: boolean;
  /** Planned maintenance. */
  unavailability?: Unavailability;
  /** Run tasks as their user. False: all as the agent's. Default true, filled in by the API server. */
  switchUser?: boolean;
  /** Containerizers in the order they are asked. Default: native. */
  containerizers?: ('native' | 'oci' | 'docker')[];
  /** Policy for containers on this machine. */
  isolation?: AgentIsolation;
  /** Revocable resources. Not implemented yet. */
  oversubscription?: Oversubscription;
  /** What is removed when. Absent: a sandbox is removed with its Task document. */
  housekeeping?: AgentHousekeeping;
}

/** One address. */
export interface AgentAddress {
  /** Kind of the address. */
  type: 'Hostname' | 'InternalIP' | 'ExternalIP';
  /** Address. */
  address: string;
}

/** One disk. */
export interface AgentDiskStatus {
  /** Name. */
  name: string;
  /** Size in bytes. */
  capacity?: Quantity;
  /** Bytes promised to volumes. */
  allocated?: Quantity;
  /** Whether the file system has project quotas. */
  quota?: boolean;
  /** Why it cannot be used. */
  message?: string;
}

/** Data without a Volume. */
export interface RetainedVolume {
  /** Namespace of the Volume that it belonged to. */
  namespace: string;
  /** Role of that Volume. */
  role: string;
  /** Name of the directory. */
  persistenceId: string;
  /** Disk of spec.disks that holds it; absent for the root disk. */
  disk?: string;
}

/** Where the agent serves logs, exec and statistics. */
export interface AgentEndpoint {
  /** Address. */
  url?: string;
  /** Certificate authority in PEM. */
  caData?: string;
  /** Unix socket on the machine itself. */
  socketPath?: string;
}

/** Kernel and system. */
export interface AgentPlatform {
  /** Operating system. */
  os?: string;
  /** Processor architecture. */
  architecture?: string;
  /** Kernel release. */
  kernel?: string;
  /** Kind of cgroup hierarchy. */
  cgroupVersion?: 'v1' | 'hybrid' | 'v2' | 'none';
  /** Kernel features that were found. */
  features?: string[];
}

/** One containerizer. */
export interface AgentContainerizer {
  /** Name. */
  name: string;
  /** Version of what it uses. */
  version?: string;
  /** Isolators in use. */
  isolators?: string[];
  /** Fields of a Task that it refuses. */
  unsupported?: string[];
}

/** One network. */
export interface AgentNetwork {
  /** Name. */
  name: string;
  /** Version of the CNI specification that it is used with. */
  cniVersion?: string;
  /** Its plug-ins, in order. */
  plugins?: string[];
  /** What its plug-ins can be told per task, such as portMappings (host ports) and ips (requested addresses). */
  capabilities?: string[];
  /** Why it cannot be used. */
  message?: string;
}

/** Progress of a drain. */
export interface AgentDrainStatus {
  /** Draining: tasks are being ended. Drained: none are left. */
  state: 'Draining' | 'Drained';
  /** When it began. */
  startTime?: string;
  /** When the last task was gone. */
  finishTime?: string;
}

/** What the machine is. Written by its agent process and the agent controller. */
export interface AgentStatus {
  /** The metadata.generation that this status describes; when it is older, the status is not up to date yet. */
  observedGeneration?: number;
  /** Id of this registration; a new one when the agent starts without its old state. */
  agentId?: string;
  /** Boot id of the machine. */
  bootId?: string;
  /** Host name. */
  hostname?: string;
  /** Version of the agent. */
  version?: string;
  /** When the agent process started. */
  startTime?: string;
  /** Addresses of the machine. */
  addresses?: AgentAddress[];
  /** What the machine has. */
  detected?: AgentResources;
  /** Detected resources with those of the spec in their place. */
  capacity?: AgentResources;
  /** What tasks can have. */
  allocatable?: AgentResources;
  /** What tasks hold. */
  allocated?: AgentResources;
  /** In offers to external frameworks. */
  offered?: AgentResources;
  /** Revocable resources. */
  revocable?: ResourceQuantities;
  /** Tasks that hold resources. */
  tasks?: number;
  /** Disks with measured sizes. */
  disks?: AgentDiskStatus[];
  /** Data of Volumes that were deleted with reclaimPolicy Retain. A Volume of the same namespace, role and persistenceId is placed where its data is. */
  retainedVolumes?: RetainedVolume[];
  /** Where the agent serves logs, exec and statistics. */
  endpoint?: AgentEndpoint;
  /** Kernel and system. */
  platform?: AgentPlatform;
  /** Abilities of this agent version under their Mesos names. */
  capabilities?: string[];
  /** Containerizers that work here. */
  containerizers?: AgentContainerizer[];
  /** CNI networks that tasks can join here, as the agent's configuration directory has them. */
  networks?: AgentNetwork[];
  /** Progress of a drain. */
  drain?: AgentDrainStatus;
  /** Since when the agent is out of reach. */
  unreachableTime?: string;
  /** Ready, Reachable. */
  conditions?: Condition[];
}

/** An Agent is a machine that runs tasks. The agent process creates it; you edit its spec. */
export interface Agent {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  /** What the operator wants of this machine. */
  spec: AgentSpec;
  /** What the machine is. Written by its agent process and the agent controller. */
  status?: AgentStatus;
}

/** Quota of the role and its children. Running tasks are never killed to keep it. */
export interface RoleQuota {
  /** Held back for the role while it uses less. Not implemented yet. */
  guarantees?: ResourceQuantities;
  /** Upper bound; an absent resource is unlimited. */
  limits?: ResourceQuantities;
}

/** Policy of the role. */
export interface FrameworkRoleSpec {
  /** Name of the role, for names that an object cannot have, such as `*` or `eng/prod`. Default: the name of this object. */
  role?: string;
  /** The share of the role is divided by this; a role of weight 2 gets twice as much. Not implemented yet. Default 1, filled in by the API server. */
  weight?: number;
  /** Quota of the role and its children. Running tasks are never killed to keep it. */
  quota?: RoleQuota;
}

/** What the role uses. Written by the scheduler. */
export interface FrameworkRoleStatus {
  /** The metadata.generation that this status describes; when it is older, the status is not up to date yet. */
  observedGeneration?: number;
  /** Name of the role. */
  role?: string;
  /** Used by tasks of the role and its children. */
  allocated?: ResourceQuantities;
  /** In offers to external frameworks. */
  offered?: ResourceQuantities;
  /** Reserved for the role and its children. */
  reserved?: ResourceQuantities;
  /** What counts for the quota; reservations and unreserved allocations. */
  consumed?: ResourceQuantities;
  /** Largest share of any resource of the cluster divided by the weight. */
  dominantShare?: number;
  /** Frameworks of the role. */
  frameworks?: number;
  /** Tasks that hold resources. */
  tasks?: number;
  /** Ready, OverLimit. */
  conditions?: Condition[];
}

/** A FrameworkRole sets weight and quota of a role. A role without one has weight 1 and no quota. */
export interface FrameworkRole {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  /** Policy of the role. */
  spec: FrameworkRoleSpec;
  /** What the role uses. Written by the scheduler. */
  status?: FrameworkRoleStatus;
}
