import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a data directory's agent would have left on this machine: empty lists when all is as before. */
export interface Leftovers {
  processes: string[];
  cgroups: string[];
  mounts: string[];
  runtime: string[];
}

/** Looks with the kernel's own eyes (procfs, cgroupfs), not through tepui's records. The directory's path must be free of symlinks; it need not exist any more. */
export function leftovers(dataDir: string): Leftovers {
  const id = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  const runtimeDir = `/run/tepui/${id}`;
  return {
    processes: processesOf(id, dataDir, runtimeDir),
    cgroups: cgroupHierarchies()
      .map((root) => join(root, 'tepui', id))
      .filter((path) => existsSync(path)),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((path) => path.startsWith(`${dataDir}/`) || path.startsWith(`${runtimeDir}/`)),
    runtime: existsSync(runtimeDir) ? [runtimeDir] : [],
  };
}

function processesOf(id: string, dataDir: string, runtimeDir: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    try {
      const cgroup = readFileSync(`/proc/${entry}/cgroup`, 'utf8');
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ');
      if (cgroup.includes(`/tepui/${id}`) || command.includes(dataDir) || command.includes(runtimeDir))
        found.push(`${entry} ${command.trim()}`);
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

function cgroupHierarchies(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] as string);
}
