/**
 * Plug-ins that an agent left running when it was killed. One that is still at its ADD must be done before the DEL, or what it makes stays.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 20;

/**
 * Resolves when no process works for one of the containers: after `graceMs` they are killed. Found by their environment (CNI_CONTAINERID), which plug-ins
 * hand on to those that they call. Call it before this process calls any plug-in itself.
 */
export async function endStrayPlugins(containerIds: ReadonlySet<string>, graceMs = 5_000): Promise<void> {
  if (containerIds.size === 0) return;
  const deadline = Date.now() + graceMs;
  for (;;) {
    const pids = await findPlugins(containerIds);
    if (pids.length === 0) return;
    if (Date.now() >= deadline) for (const pid of pids) kill(pid);
    await sleep(LOOK_MS);
  }
}

async function findPlugins(containerIds: ReadonlySet<string>): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const variables = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0');
      const id = variables
        .find((variable) => variable.startsWith('CNI_CONTAINERID='))
        ?.slice('CNI_CONTAINERID='.length);
      return (
        id !== undefined && containerIds.has(id) && variables.some((variable) => variable.startsWith('CNI_COMMAND='))
      );
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
