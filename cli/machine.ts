import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { CliError, EXIT_CODES } from './exit-codes.ts';

/** The oldest kernel with mount_setattr(2), which makes the host's files read-only in a container. */
const OLDEST_KERNEL = [5, 12] as const;
const NEEDED_CONTROLLERS = ['cpu', 'memory', 'pids'];

/** Refuses, with one sentence, a machine that cannot run containers: before anything is started. */
export async function checkMachine(): Promise<void> {
  const refuse = (message: string) => {
    throw new CliError(message, EXIT_CODES.unsupported.code);
  };
  if (process.platform !== 'linux') refuse(`an agent runs on Linux only, and this is ${process.platform}`);
  if (process.getuid?.() !== 0) refuse('an agent starts containers and needs root: run it with sudo');
  if (olderThan(release(), OLDEST_KERNEL))
    refuse(`this kernel is ${release()}: an agent needs Linux ${OLDEST_KERNEL.join('.')} or newer`);
  const missing = missingControllers(readFileSync('/proc/self/mountinfo', 'utf8'), readControllersFile());
  if (missing.length > 0)
    refuse(
      `the cgroup controllers ${missing.join(', ')} are not available here: mount cgroup v2 at /sys/fs/cgroup, or enable them on the kernel command line`,
    );
}

/** Which of the needed controllers neither a v1 hierarchy nor the v2 root offers. */
export function missingControllers(mountinfo: string, v2Controllers: string): string[] {
  const v1 = mountinfo
    .split('\n')
    .filter((line) => line.includes(' - cgroup '))
    .flatMap((line) => (line.split(' ').at(-1) ?? '').split(','));
  const available = new Set([...v1, ...v2Controllers.trim().split(/\s+/)]);
  return NEEDED_CONTROLLERS.filter((controller) => !available.has(controller));
}

function readControllersFile(): string {
  for (const root of ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']) {
    try {
      return readFileSync(`${root}/cgroup.controllers`, 'utf8');
    } catch {
      // Not a v2 root.
    }
  }
  return '';
}

function olderThan(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a < major || (a === major && b < minor);
}
