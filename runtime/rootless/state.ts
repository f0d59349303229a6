/** What the process outside has passed to the one inside; see enter.ts. */
import { readFileSync } from 'node:fs';

export const STATE_VARIABLE = 'TEPUI_ROOTLESS';

export interface RootlessState {
  /** Of the user, on the machine. */
  uid: number;
  /** His home directory; tasks do not see it. */
  home: string;
  /** Where the delegated cgroup is mounted. */
  cgroup: string;
  /** What was made of C, the launcher among it: checked outside, where the owners of files can still be told. */
  programs: string[];
}

/** Undefined in a process that is root of the machine, or that no `tepui` of a user has started. */
export function rootlessState(): RootlessState | undefined {
  known ??= { state: read() };
  return known.state;
}

let known: { state: RootlessState | undefined } | undefined;

/** A variable alone proves nothing: it may be left over in the environment of somebody who became root since. */
function read(): RootlessState | undefined {
  const text = process.env[STATE_VARIABLE];
  return text !== undefined && inOwnUserNamespace() ? (JSON.parse(text) as RootlessState) : undefined;
}

/**
 * Whether root here is not root of the machine: then the kernel refuses device files, BPF programs, quotas, mapped mounts and all else that is the
 * machine's. A process of ours never changes its user namespace.
 */
export function inOwnUserNamespace(): boolean {
  isOwn ??= isOwnUserNamespace();
  return isOwn;
}

let isOwn: boolean | undefined;

/** The map of the first namespace is all ids onto themselves. */
export function isOwnUserNamespace(uidMap = '/proc/self/uid_map'): boolean {
  try {
    return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync(uidMap, 'utf8'));
  } catch {
    // A kernel without user namespaces.
    return false;
  }
}
