/**
 * Plug-ins that an agent left running when it was killed. One that is still at its ADD must be done before the DEL, or what it makes stays; and one that
 * collects garbage knows nothing of what is attached after it was called, and would take it away.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { OWNER_VARIABLE } from './cni/plugin.ts';

const LOOK_MS = 20;

export interface StrayPlugins {
  /** At work for one of these, whatever they do. Other tasks are left alone: a plug-in may have started a name server for them, say. */
  containerIds: ReadonlySet<string>;
  /** Collecting garbage for this owner. */
  collector?: string | undefined;
}

/**
 * Resolves when none of them is at work: after `graceMs` they are killed. Found by their environment (CNI_CONTAINERID), which plug-ins hand on to those
 * that they call. Call it before this process calls any plug-in itself.
 */
export async function endStrayPlugins(stray: StrayPlugins, graceMs = 5_000): Promise<void> {
  if (stray.containerIds.size === 0 && stray.collector === undefined) return;
  const deadline = Date.now() + graceMs;
  for (;;) {
    const pids = await findPlugins(stray);
    if (pids.length === 0) return;
    if (Date.now() >= deadline) for (const pid of pids) kill(pid);
    await sleep(LOOK_MS);
  }
}

async function findPlugins({ containerIds, collector }: StrayPlugins): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const variables = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0');
      const variable = (name: string) => variables.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
      const command = variable('CNI_COMMAND');
      if (command === undefined) return false;
      const isCollector = command === 'GC' && collector !== undefined && variable(OWNER_VARIABLE) === collector;
      return isCollector || containerIds.has(variable('CNI_CONTAINERID') ?? '');
    }),
  );
  return pids.filter((pid, index) => found[index] && pid !== process.pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}
