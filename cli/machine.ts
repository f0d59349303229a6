import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { rootlessState } from '../runtime/rootless/state.ts';
import { CliError, EXIT_CODES } from './exit-codes.ts';

/** The oldest kernel with mount_setattr(2), which makes the host's files read-only in a container. */
const OLDEST_KERNEL = [5, 12] as const;
const NEEDED_CONTROLLERS = ['cpu', 'memory', 'pids'];

export interface MachineUse {
  /** Of the agent, as the command was given it. */
  dataDir: string;
  /** Whether the command starts tasks, or only ends them. */
  startsTasks: boolean;
}

/**
 * Refuses, with one sentence, a machine that cannot run containers: before anything is started. For a user who is not root the process becomes
 * root of a user namespace, and begins anew: then this does not return.
 */
export async function checkMachine({ dataDir, startsTasks }: MachineUse): Promise<void> {
  const refuse = (message: string) => {
    throw new CliError(message, EXIT_CODES.unsupported.code);
  };
  if (process.platform !== 'linux') refuse(`an agent runs on Linux only, and this is ${process.platform}`);
  if (olderThan(release(), OLDEST_KERNEL))
    refuse(`this kernel is ${release()}: an agent needs Linux ${OLDEST_KERNEL.join('.')} or newer`);
  // There is nothing to end where nothing is; the command says so itself.
  if (process.getuid?.() !== 0 && (startsTasks || existsSync(dataDir))) await becomeRoot({ dataDir, startsTasks });
  // What is delegated to a user was looked at outside.
  const state = rootlessState();
  if (state !== undefined) return (await import('../runtime/launcher/build.ts')).trustBuilds(state.programs);
  const missing = missingControllers(readFileSync('/proc/self/mountinfo', 'utf8'), readControllersFile());
  if (missing.length > 0)
    refuse(
      `the cgroup controllers ${missing.join(', ')} are not available here: mount cgroup v2 at /sys/fs/cgroup, or enable them on the kernel command line`,
    );
}

async function becomeRoot(use: MachineUse): Promise<void> {
  const { enterRootless } = await import('../runtime/rootless/enter.ts');
  const { RootlessImpossible } = await import('../runtime/rootless/impossible.ts');
  try {
    await enterRootless(use);
  } catch (error) {
    throw error instanceof RootlessImpossible ? new CliError(error.message, EXIT_CODES.unsupported.code) : error;
  }
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
