/**
 * The language between TypeScript and the launcher: an ordered list of operations, carried out by the container's first process
 * between clone and exec. TypeScript holds all policy; C validates each operation and runs them in one loop.
 */

export type MountFlag =
  | 'ro' | 'nosuid' | 'nodev' | 'noexec' | 'noatime' | 'bind' | 'rbind' | 'remount'
  | 'private' | 'rprivate' | 'slave' | 'rslave' | 'rec';

export type Operation =
  /** Joins cgroups: each path is a v1 `tasks` file (the process writes 0 itself) or a v2 `cgroup.procs` file. */
  | { op: 'joinCgroup'; path: string }
  /** mount(2). `target` is resolved below the new root once `enterRoot` named one; never follows symlinks out of it. */
  | { op: 'mount'; source: string; target: string; fstype?: string; flags: MountFlag[]; data?: string }
  /** mount_setattr(2) with AT_RECURSIVE: makes a tree read-only, nosuid, nodev. */
  | { op: 'setMountAttributes'; target: string; set: ('ro' | 'nosuid' | 'nodev' | 'noexec')[]; recursive: boolean }
  | { op: 'mkdir'; path: string; mode: number; uid?: number; gid?: number }
  | { op: 'createFile'; path: string; mode: number; content?: string }
  | { op: 'symlink'; target: string; path: string }
  | { op: 'mknod'; path: string; type: 'c' | 'b'; major: number; minor: number; mode: number }
  /** Binds /dev/null over a file or an empty read-only tmpfs over a directory; a missing path is not an error. */
  | { op: 'mask'; path: string }
  | { op: 'readOnly'; path: string }
  /** Names the directory that becomes `/`; later targets are below it. It must be a mount point. */
  | { op: 'enterRoot'; path: string }
  /** pivot_root(2) into the named root and detaches the old one. */
  | { op: 'pivotRoot' }
  | { op: 'hostname'; name: string }
  | { op: 'loopbackUp' }
  | { op: 'rlimit'; resource: number; soft: bigint; hard: bigint }
  | { op: 'oomScoreAdj'; value: number }
  | { op: 'umask'; mask: number }
  /** setgroups, setgid, setuid; keeps the capabilities that `capabilities` names. */
  | { op: 'user'; uid: number; gid: number; groups: number[] }
  | { op: 'capabilities'; bounding: number[]; effective: number[]; permitted: number[]; inheritable: number[]; ambient: number[] }
  | { op: 'noNewPrivileges' }
  /** A compiled BPF program: struct sock_filter array as bytes. */
  | { op: 'seccomp'; program: Uint8Array }
  | { op: 'workingDirectory'; path: string };

export interface LaunchRequest {
  containerId: string;
  namespaces: { mount: boolean; pid: boolean; ipc: boolean; uts: boolean; cgroup: boolean; network: boolean };
  /** A v2 cgroup directory to be born in (CLONE_INTO_CGROUP), when there is one. */
  cloneIntoCgroup?: string;
  operations: Operation[];
  argv: string[];
  env: Record<string, string>;
  stdout: LogSink;
  stderr: LogSink;
  /** Where the supervisor writes how the container ended: written to a temporary name, fsynced, renamed, directory fsynced. */
  exitRecord: string;
}

/** A log file in the sandbox, opened O_NOFOLLOW below it, rotated as path.1, path.2 ... */
export interface LogSink {
  path: string;
  maxBytes: number;
  /** Files kept beside the current one; 0 truncates instead. */
  maxFiles: number;
  uid: number;
  gid: number;
}

/** The JSON line in the exit record. */
export interface ExitRecord {
  containerId: string;
  exitCode?: number;
  signal?: number;
  /** Unix time in milliseconds. */
  finishedAtMs: number;
}
