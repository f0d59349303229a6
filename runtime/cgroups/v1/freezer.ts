/** cgroup v1 freezer: only where no v2 mount gives cgroup.freeze. */
import { setTimeout as delay } from 'node:timers/promises';
import { readControl, writeControl } from '../files.ts';

export function setFrozen(directory: string, frozen: boolean): void {
  writeControl(`${directory}/freezer.state`, frozen ? 'FROZEN' : 'THAWED');
}

/** FREEZING is a state of its own: resolves when all processes stand still. */
export async function waitFrozen(directory: string, deadlineMs = 2000): Promise<boolean> {
  const deadline = Date.now() + deadlineMs;
  while (Date.now() < deadline) {
    if (readControl(`${directory}/freezer.state`)?.trim() === 'FROZEN') return true;
    await delay(2);
  }
  return false;
}
