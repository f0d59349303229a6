/** Ending every process of a group. */
import { readPids, writeControlIfPresent } from './files.ts';
import { listGroups } from './groups.ts';

/** `cgroup.kill` where the kernel has it (5.14): it also catches what is being forked right now. */
export function killUnified(directory: string): void {
  if (!writeControlIfPresent(`${directory}/cgroup.kill`, 1)) killEach(`${directory}/cgroup.procs`);
}

/** A group and the groups below it, the lower ones first. */
export function killTree(directory: string): void {
  for (const child of listGroups(directory)) killTree(`${directory}/${child}`);
  killEach(`${directory}/cgroup.procs`);
}

/**
 * SIGKILLs what is listed, until two readings in a row list nothing new: a fork can only escape the list it was not in yet,
 * and its parent was killed in that round.
 */
function killEach(procsFile: string): void {
  const killed = new Set<number>();
  for (let round = 0; round < 100; round++) {
    const alive = readPids(procsFile).filter((pid) => !killed.has(pid));
    if (alive.length === 0) return;
    for (const pid of alive) {
      signalProcess(pid, 'SIGKILL');
      killed.add(pid);
    }
  }
}

/** process.kill that takes a process gone meanwhile for granted. 0 would signal our own group. */
export function signalProcess(pid: number, signal: NodeJS.Signals | number): void {
  if (pid <= 1) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
