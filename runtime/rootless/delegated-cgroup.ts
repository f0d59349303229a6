/**
 * The cgroup that was delegated to the user: the one that this process was started in. Limits can be set below it once it has no processes of its own,
 * so this process, and whatever else is in it, moves to a leaf below.
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readCgroupMounts, requiredControllers } from '../cgroups/detect.ts';
import { errorCode, readControl, readPids, writeControl } from '../cgroups/files.ts';
import { RootlessImpossible } from './impossible.ts';

/** Where the agents below a delegated cgroup are. */
export const LEAF = 'tepui-agent';

const START = '`systemd-run --user --scope -p Delegate=yes tepui ...`';

/** What the kernel says of this process; tests say it otherwise. */
export interface CgroupFacts {
  mountinfo: string;
  /** /proc/self/cgroup */
  own: string;
}

const facts = (): CgroupFacts => ({
  mountinfo: readFileSync('/proc/self/mountinfo', 'utf8'),
  own: readFileSync('/proc/self/cgroup', 'utf8'),
});

/** Its directory. Throws RootlessImpossible when this process was not started in one. */
export function findDelegatedCgroup({ mountinfo, own } = facts()): string {
  const mount = unifiedMount(mountinfo, own);
  const path = /^0::(.*)$/m.exec(own)?.[1] ?? '/';
  const directory = join(mount, basename(path) === LEAF ? dirname(path) : path);
  if (!isDelegated(directory))
    throw new RootlessImpossible(
      `the cgroup of this command, ${path}, is not delegated to you, and without root tasks are limited below one that is: start it with ${START}, or as root with sudo`,
    );
  const there = readControl(`${directory}/cgroup.controllers`)?.trim().split(/\s+/) ?? [];
  const missing = requiredControllers.filter((name) => !there.includes(name));
  if (missing.length > 0)
    throw new RootlessImpossible(
      `the cgroup ${path} is delegated to you without the ${missing.length === 1 ? 'controller' : 'controllers'} ${missing.join(', ')}, which limit tasks: ` +
        'as root, `systemctl edit user@.service`, write `[Service]` and `Delegate=cpu cpuset io memory pids`, then log in anew',
    );
  return directory;
}

/** Moves this process, and everything else that is in the cgroup, to its leaf. Throws RootlessImpossible. */
export function moveToLeaf(directory: string): void {
  const leaf = join(directory, LEAF);
  try {
    if (!existsSync(leaf)) mkdirSync(leaf);
    move(process.pid, leaf);
    // What is forked meanwhile is found by the next look.
    for (let look = 0; look < 100; look++) {
      const left = readPids(`${directory}/cgroup.procs`);
      if (left.length === 0) return;
      for (const pid of left) move(pid, leaf);
    }
    throw new Error('new processes appear in it all the time');
  } catch (error) {
    throw new RootlessImpossible(
      `the cgroup ${directory} has to be without processes of its own, and they cannot be moved below it: ${(error as Error).message}. Start this command with ${START}`,
    );
  }
}

/** Moves processes of the leaf back, once nothing else is below the cgroup, and removes it. Leaves everything as it is where that cannot be. */
export function leaveLeaf(directory: string): void {
  const leaf = join(directory, LEAF);
  if (!existsSync(leaf)) return;
  try {
    const on = readControl(`${directory}/cgroup.subtree_control`)?.trim().split(/\s+/).filter(Boolean) ?? [];
    if (on.length > 0) writeControl(`${directory}/cgroup.subtree_control`, on.map((name) => `-${name}`).join(' '));
    for (const pid of readPids(`${leaf}/cgroup.procs`)) move(pid, directory);
    rmdirSync(leaf);
  } catch {
    // Another agent is below it, or this process is elsewhere and may not move what is in the leaf: an empty group costs nothing.
  }
}

/** Throws RootlessImpossible on a machine with cgroup v1. */
export function checkUnified({ mountinfo, own } = facts()): void {
  unifiedMount(mountinfo, own);
}

function unifiedMount(mountinfo: string, own: string): string {
  const mounts = readCgroupMounts(mountinfo);
  const unified = mounts.findLast(({ type }) => type === 'cgroup2');
  const inV1 = own.split('\n').filter((line) => /^\d+:[^:]*\b(cpu|memory|pids)\b/.test(line));
  if (unified !== undefined && inV1.length === 0) return unified.mountPoint;
  throw new RootlessImpossible(
    `without root tasks need cgroup v2 with all controllers, and this machine has cgroup v1${unified ? ' controllers beside it' : ''}: start it as root with sudo, or boot the machine with systemd.unified_cgroup_hierarchy=1`,
  );
}

/** cgroups(7): the directory and these files are given to whom the subtree is delegated. */
function isDelegated(directory: string): boolean {
  try {
    for (const name of ['', 'cgroup.procs', 'cgroup.subtree_control'])
      accessSync(join(directory, name), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** One that has ended is where it should be. */
function move(pid: number, group: string): void {
  try {
    writeControl(`${group}/cgroup.procs`, pid);
  } catch (error) {
    if (errorCode((error as Error).cause) !== 'ESRCH') throw error;
  }
}
