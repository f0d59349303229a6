/** The OCI runtime: which program it is, and how it is called. */
import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Tried in this order when none is named. */
const known = ['crun', 'runc', 'youki'];
/** Of runtimes that are called by a daemon with a small environment. */
const fallbackPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** A runtime answers in milliseconds; one that hangs (a frozen container) must not hold the agent. */
const callTimeoutMs = 30_000;

export interface OciRuntime {
  /** Absolute path. */
  path: string;
  name: string;
  version: string;
}

/** No OCI runtime is installed, or the one that was named does not work. */
export class OciRuntimeUnavailable extends Error {
  override name = 'OciRuntimeUnavailable';
}

/** `wanted`: a name on PATH or an absolute path; absent: the first known one that is there. */
export async function findOciRuntime(wanted?: string): Promise<OciRuntime> {
  const names = wanted === undefined ? known : [wanted];
  const path = names.map(findProgram).find((found) => found !== undefined);
  if (path === undefined) {
    throw new OciRuntimeUnavailable(
      wanted === undefined
        ? `containerizer oci needs an OCI runtime on PATH: install crun or runc`
        : `containerizer oci: there is no OCI runtime "${wanted}"`,
    );
  }
  try {
    const { stdout } = await run(path, ['--version'], { timeout: callTimeoutMs });
    const version = /version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
    return { path, name: path.slice(path.lastIndexOf('/') + 1), version };
  } catch (cause) {
    throw new OciRuntimeUnavailable(`containerizer oci: ${path} does not run: ${(cause as Error).message}`, { cause });
  }
}

function findProgram(name: string): string | undefined {
  const candidates = name.includes('/')
    ? [name]
    : (process.env.PATH || fallbackPath).split(':').map((directory) => `${directory}/${name}`);
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return path.startsWith('/') && statSync(path).isFile();
    } catch {
      return false;
    }
  });
}

/**
 * Runs one command of the runtime, for example `delete`; rejects with what it complained about. `hidden` is a directory that the runtime must not
 * see the content of: crun refuses hosts with cgroup v1 controllers and a v2 mount.
 */
export async function callRuntime(
  { path }: OciRuntime,
  state: string,
  args: string[],
  hidden?: string,
): Promise<string> {
  const command = [path, '--root', state, ...args];
  const hide = 'mount -t tmpfs -o mode=0755 none "$0" && exec "$@"';
  const [program, ...rest] = hidden
    ? ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', hide, hidden, ...command]
    : command;
  try {
    const { stdout } = await run(program!, rest, {
      timeout: callTimeoutMs,
      env: { PATH: fallbackPath },
    });
    return stdout;
  } catch (cause) {
    const { stderr, message } = cause as Error & { stderr?: string };
    throw new Error(`${path} ${args[0]}: ${stderr?.trim().split('\n').at(-1) || message}`, { cause });
  }
}
