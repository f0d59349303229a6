/**
 * Processes of an earlier agent of the same data directory that still live: the resident launcher, and the supervisors of containers. Their namespaces
 * are the ones that its tasks are in. They are known by files in the runtime directory, which nobody but the user reaches: no task can pass for one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** `PID:START` of each, the launcher first, as its role `rootless join` takes them: it compares the start times once more. */
export function livingProcesses(runtimeDir: string): string[] {
  const files = [join(runtimeDir, 'launcher'), ...supervisorFiles(join(runtimeDir, 'containers'))];
  return files.flatMap((file) => {
    // Both kinds of file begin with the pid and the start time.
    const [, pid, start] = /^(\d+) (\d+)\b/.exec(read(file)) ?? [];
    return pid !== undefined && start !== undefined && startTimeOf(pid) === start ? [`${pid}:${start}`] : [];
  });
}

function supervisorFiles(directory: string): string[] {
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch {
    return [];
  }
}

/** Field 22 of proc_pid_stat(5); the name before may hold anything. Undefined for one that has ended. */
function startTimeOf(pid: string): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
