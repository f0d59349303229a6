/** The end of `tepui down` for a user: the delegated cgroup is as it was, and nothing is bound any more. */
import { existsSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeEmptyPath } from '../cgroups/groups.ts';
import { unmount } from '../volumes/mounts.ts';
import { leaveLeaf } from './delegated-cgroup.ts';
import { rootlessState } from './state.ts';

const ATTEMPTS = 100;
const PAUSE_MS = 50;

/** `cgroupRoot`: of the agent, below the delegated cgroup. Does nothing for root of the machine. Idempotent. */
export async function leaveDelegatedCgroup(cgroupRoot: string): Promise<void> {
  const state = rootlessState();
  if (state === undefined) return;
  const { cgroup } = state;
  // The launcher was asked to end, and is in a group of its own until it has.
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    removeEmptyPath(cgroup, cgroupRoot);
    if (!existsSync(`${cgroup}/${cgroupRoot}`)) break;
    await sleep(PAUSE_MS);
  }
  // Processes are moved by the names that the kernel's own mount has: the leaf may have to outlive the bind.
  leaveLeaf(readFileSync(`${cgroup}.path`, 'utf8'));
  await unmount([cgroup]).catch(() => undefined);
  rmdirSync(cgroup);
  rmSync(`${cgroup}.path`, { force: true });
}
