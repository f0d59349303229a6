/**
 * Namespaces that live without a process, until they are released: what the containers of one task share. Each is a bind-mounted file
 * `<directory>/<type>` that a container joins (`setns`) or a CNI plug-in is given.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildLauncher } from './build.ts';

/** net: loopback is up, every port may be listened on and echo requests be sent without a capability. ipc, uts: as new. */
export type HeldType = 'net' | 'ipc' | 'uts';

/** The message says which step failed, and why. */
export class HoldFailed extends Error {
  override name = 'HoldFailed';
}

const run = promisify(execFile);

/**
 * Makes what is not there yet, and the directory (0700; its parent must exist); complete when it resolves. Idempotent, also after a call that
 * was killed half-way. Returns the path of each namespace's file.
 */
export async function holdNamespaces<T extends HeldType>(
  directory: string,
  types: readonly T[],
  { binary }: { binary?: string } = {},
): Promise<Record<T, string>> {
  await launcher(binary, ['hold', directory, ...types]);
  return Object.fromEntries(types.map((type) => [type, join(directory, type)])) as Record<T, string>;
}

/**
 * Gives up all that `holdNamespaces` made there; a namespace goes with the last process in it, whoever copied the mount table meanwhile. The
 * directory goes too unless it holds other files. Idempotent; tolerates a directory that never was.
 */
export async function releaseNamespaces(directory: string, { binary }: { binary?: string } = {}): Promise<void> {
  await launcher(binary, ['unhold', directory]);
}

async function launcher(binary: string | undefined, argv: string[]): Promise<void> {
  try {
    await run(binary ?? (await buildLauncher()), argv, { env: {}, cwd: '/' });
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new HoldFailed(stderr?.trim().replace(/^tepui-launcher: /, '') || message, { cause: error });
  }
}
