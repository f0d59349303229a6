/**
 * The language between TypeScript and the launcher: an ordered list of operations, carried out by the container's first process
 * between clone and exec. TypeScript holds all policy; C validates each operation and runs them in one loop.
 *
 * Order that the launcher insists on: every `joinCgroup` first (the cgroup namespace is made right after them), `enterRoot` before
 * `pivotRoot`. Order that makes sense after that: mounts below the new root, pivotRoot, rlimits, workingDirectory, `user`,
 * `capabilities`, `noNewPrivileges`, `seccomp`; `userNamespace`, where there is one, right before `user` (and a `seccomp` that comes before that). File system operations need an own mount namespace, `hostname` an own UTS namespace,
 * `loopbackUp` an own network namespace. A new mount namespace is made `rslave` before the first operation.
 */

export type MountFlag =
  | 'ro'
  | 'nosuid'
  | 'nodev'
  | 'noexec'
  | 'noatime'
  | 'bind'
  | 'rbind'
  | 'remount'
  | 'private'
  | 'rprivate'
  | 'slave'
  | 'rslave'
  | 'rec'
  /** Files appear with the ids of the container's user namespace (nothing without one). Fails with step `idmap` where the file system cannot. */
  | 'idmap'
  /** With a bind: its mounts stay connected with the host's, in both directions; `slave` with a bind: from the host only. */
  | 'shared'
  /** The source is a path in the mount namespace of the process in `share`. */
  | 'peer';

export type Operation =
  /**
   * Joins a cgroup: the path is a v1 `tasks` file or a v2 `cgroup.procs` file, and the process writes 0 itself. On v2 prefer
   * `cloneIntoCgroup`, which costs nothing. The directory of the first one (or of `cloneIntoCgroup`) is where signals find the processes.
   */
  | { op: 'joinCgroup'; path: string }
  /**
   * One of: a new file system (`fstype`, attributes, `data`); `bind`/`rbind` of `source` with attributes set before it becomes visible;
   * `bind`+`remount` to change attributes; propagation alone (`target` and one of private, rprivate, slave, rslave).
   * `target` is resolved below the new root once `enterRoot` named one; symlinks never lead out of it. It must exist.
   * A bind's `source` is a host path; with `sourceBelow` it is resolved below that directory, symlinks never lead out of it.
   */
  | {
      op: 'mount';
      source: string;
      sourceBelow?: string;
      target: string;
      fstype?: string;
      flags: MountFlag[];
      data?: string;
    }
  /** mount_setattr(2), with AT_RECURSIVE on request: makes a tree read-only, nosuid, nodev, noexec. */
  | { op: 'setMountAttributes'; target: string; set: ('ro' | 'nosuid' | 'nodev' | 'noexec')[]; recursive: boolean }
  /** Makes missing parents too (0755, root). An existing directory is left as it is. */
  | { op: 'mkdir'; path: string; mode: number; uid?: number; gid?: number }
  /** Without `content` an existing file is left as it is (a mount point); with it the file is replaced. Makes no parents. */
  | { op: 'createFile'; path: string; mode: number; content?: string }
  /** An existing path is left as it is. */
  | { op: 'symlink'; target: string; path: string }
  /** The owner is root unless it is given. The container's device rules must allow `m` for it. */
  | {
      op: 'mknod';
      path: string;
      type: 'c' | 'b';
      major: number;
      minor: number;
      mode: number;
      uid?: number;
      gid?: number;
    }
  /**
   * The layers of an image (the uppermost first, at most 500) as one tree at `target`. `upper`: an existing directory that takes the changes, in
   * `upper/` and `work/`; `memory`: changes go to a tmpfs; `none`: read-only. `root` is mode and owner (ids on the host) of the tree's root.
   * Fails with step `overlay` where the file system of `upper` cannot do it.
   */
  | {
      op: 'overlay';
      target: string;
      layers: string[];
      changes: { upper: string } | 'memory' | 'none';
      flags: ('ro' | 'nosuid' | 'nodev' | 'noexec' | 'idmap')[];
      root: { mode: number; uid: number; gid: number };
    }
  /** Binds /dev/null over a file or an empty read-only tmpfs over a directory; a missing path is not an error. */
  | { op: 'mask'; path: string }
  /** Binds a path over itself read-only, with what is mounted below; a missing path is not an error. */
  | { op: 'readOnly'; path: string }
  /** Names the directory that becomes `/`; later targets are below it. It must be a mount point. */
  | { op: 'enterRoot'; path: string }
  /** pivot_root(2) into the named root and detaches the old one. */
  | { op: 'pivotRoot' }
  /** Of a namespace file, or of the process in `share`. */
  | { op: 'joinNamespace'; path?: string; kinds: ('pid' | 'ipc' | 'uts' | 'net')[] }
  /**
   * Enters the user namespace of `userNamespace` (in exec: the container's), from where on ids are those inside. `owner`: the host's id of the
   * user that comes next, who gets the output pipes.
   */
  | { op: 'userNamespace'; owner: number }
  | { op: 'hostname'; name: string }
  | { op: 'loopbackUp' }
  /** `RLIMIT_UNLIMITED` for none. Raising a hard limit needs CAP_SYS_RESOURCE and is refused with a clear error without it. */
  | { op: 'rlimit'; resource: number; soft: bigint; hard: bigint }
  /** Without it the container has 0 (or what the kernel lets it have). */
  | { op: 'oomScoreAdj'; value: number }
  /** Of the command; 022 without it. Operations before it are not affected: they make exactly the modes they name. */
  | { op: 'umask'; mask: number }
  /** setgroups, setgid, setuid; keeps the permitted capabilities for a following `capabilities`. Gives it the output pipes too. */
  | { op: 'user'; uid: number; gid: number; groups: number[] }
  /** Capability numbers. The launcher must hold all of `permitted`. */
  | {
      op: 'capabilities';
      bounding: number[];
      effective: number[];
      permitted: number[];
      inheritable: number[];
      ambient: number[];
    }
  | { op: 'noNewPrivileges' }
  /**
   * A compiled BPF program: struct sock_filter array as bytes (runtime/seccomp makes it). After `noNewPrivileges` it is put off until
   * right before exec, so that it need not allow what the launcher still does; without it, it applies in place (CAP_SYS_ADMIN needed).
   */
  | { op: 'seccomp'; program: Uint8Array; flags?: ('log' | 'specAllow')[] }
  | { op: 'workingDirectory'; path: string }
  /**
   * Opens a terminal on the container's own /dev/pts and makes it the standard streams. Once, after `pivotRoot`; needs `tty`. `ofHost`: on the
   * host's, before any `pivotRoot`, for a program that makes the container's own itself and copies between the two.
   */
  | { op: 'terminal'; ofHost?: boolean }
  /**
   * What the members of a cgroup may open: a v1 group of the devices controller, or a v2 group, which gets a BPF program that lives as long as
   * the group does. Replaces the rules before it; an empty list denies everything. Not after `pivotRoot`.
   */
  | { op: 'deviceRules'; cgroup: string; rules: DeviceRule[] }
  /** The AppArmor profile that the next exec changes to; needs /proc. */
  | { op: 'appArmorProfile'; profile: string };

/** Allows `access` (letters of r, w, m) to the devices that match: `a` is all, an absent number any. At most 256 per cgroup. */
export interface DeviceRule {
  type: 'a' | 'b' | 'c';
  major?: number;
  minor?: number;
  access: string;
}

export const RLIMIT_UNLIMITED = 0xffff_ffff_ffff_ffffn;

export interface LaunchRequest {
  /** Letters, digits, `.`, `_`, `-`; at most 128; unique on this node for ever. */
  containerId: string;
  namespaces: { mount: boolean; pid: boolean; ipc: boolean; uts: boolean; cgroup: boolean; network: boolean };
  /**
   * True puts a tiny init at pid 1 of the pid namespace: it starts the command as pid 2, forwards signals, reaps orphans, and ends with
   * the command. Without it the command is pid 1, and the kernel drops every signal it has no handler for (a `sleep` ignores SIGTERM;
   * only SIGKILL from outside works). Costs about 0.2 ms and 0.1 MiB. Default false; needs `namespaces.pid`.
   */
  init?: boolean;
  /**
   * A terminal in place of three streams, made by the operation `terminal`: what is written to it goes to the `stdout` sink. 80 columns by 24 rows
   * until somebody attaches (attach.ts). Default false.
   */
  tty?: boolean;
  /** The standard input is a pipe that those who attach write to. Default false: it is empty. Has no effect with `tty`. */
  stdin?: boolean;
  /**
   * Own ids: 0 .. size-1 are `hostId` .. on the host. Until `userNamespace` (which must be there) operations run with the privileges of the host's root
   * and make files that belong to id 0 of the container; ids in operations before it are those of the host.
   */
  userNamespace?: { uids: IdRange; gids: IdRange };
  /** A process, in this process's pid namespace, whose namespaces are joined and whose mounts are bound. */
  share?: { pid: number; startTimeTicks: number };
  /** Nothing is executed: the first process only keeps its namespaces until it is killed. Excludes `init`. */
  pause?: boolean;
  /** A v2 cgroup directory to be born in (CLONE_INTO_CGROUP), when there is one. */
  cloneIntoCgroup?: string;
  operations: Operation[];
  /** Found through the PATH of `env` inside the container when it has no slash. */
  argv: string[];
  env: Record<string, string>;
  stdout: LogSink;
  stderr: LogSink;
  /**
   * Where the supervisor writes how the container ended: one JSON line, durable before it is told. The file is made at launch, full of
   * blanks, so that a full disk cannot lose it; `parseExitRecord` tells whether it has a record yet. The directory must
   * exist; a file that is there already must be an empty regular one.
   */
  exitRecord: string;
}

export interface IdRange {
  hostId: number;
  size: number;
}

/** A log file in the sandbox, opened O_NOFOLLOW below it, rotated as path.1, path.2 ... */
export interface LogSink {
  path: string;
  /** 0: never rotated. */
  maxBytes: number;
  /** Files kept beside the current one; 0 truncates instead. */
  maxFiles: number;
  uid: number;
  gid: number;
}

/** The JSON line in the exit record. Has neither exitCode nor signal when `lost`. */
export interface ExitRecord {
  containerId: string;
  exitCode?: number;
  signal?: number;
  /** Unix time in milliseconds. */
  finishedAtMs: number;
  /** Bytes of output that could not be written (disk full, quota): they are dropped and counted, the container is never held up. */
  droppedLogBytes?: number;
  /** The supervisor was killed; so was the container, and how it ended is not known. */
  lost?: boolean;
  /** The record could not be written within 30 s and exists in this event only. */
  notDurable?: boolean;
}

/**
 * A command run inside a living container. Operations allowed: joinCgroup, rlimit, oomScoreAdj, umask, userNamespace, user, capabilities,
 * noNewPrivileges, seccomp, appArmorProfile, workingDirectory.
 */
export interface ExecLaunchRequest {
  containerId: string;
  /** The container's first process, in this process's pid namespace; a reused pid is noticed by the start time. */
  pid: number;
  startTimeTicks: number;
  /** Whether the container has one: `userNamespace` must be among the operations then. */
  userNamespace?: boolean;
  cloneIntoCgroup?: string;
  operations: Operation[];
  argv: string[];
  env: Record<string, string>;
  /**
   * In place of a command: `argv` is `send PATH NAME` or `receive PATH NAME`, and a tar stream comes out or goes in (src/files.c). Exit code 0,
   * 1 when it failed, 3 when something was left out; standard error says what.
   */
  files?: boolean;
  /** A terminal from the container's own devpts. Default none: three pipes. */
  tty?: { columns: number; rows: number };
}
