/** The processes of an engine's container as this machine sees them. */
import { readFileSync } from 'node:fs';
import type { CgroupHost } from '../../cgroups/detect.ts';
import { readPids } from '../../cgroups/files.ts';

/** All processes in the container's cgroup, by its first process; none when that is gone. */
export function processesOf(pid: number, { controllers }: CgroupHost): number[] {
  const text = readIfThere(`/proc/${pid}/cgroup`);
  if (pid <= 1 || text === undefined) return [];
  for (const line of text.split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const mount =
      names === '' ? controllers.get('pids') : names?.split(',').includes('pids') ? controllers.get('pids') : undefined;
    if (mount === undefined || path === undefined || path === '/') continue;
    const found = readPids(`${mount}${path}/cgroup.procs`);
    if (found.includes(pid)) return found;
  }
  return [pid];
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
