/** Runs a system tool (mount, losetup, mkfs.ext4 ...) for the agent. */
import { execFile } from 'node:child_process';

/** A tool failed. The message names it and repeats what it said. */
export class CommandFailed extends Error {
  override name = 'CommandFailed';
  /** The program does not exist on this machine. */
  readonly missing: boolean;
  readonly exitCode: number | undefined;
  constructor(message: string, { missing = false, exitCode }: { missing?: boolean; exitCode?: number } = {}) {
    super(message);
    this.missing = missing;
    this.exitCode = exitCode;
  }
}

const timeoutMs = 60_000;
const mostOutputBytes = 16 * 2 ** 20;

export interface CommandOptions {
  timeoutMs?: number;
  /**
   * A file that the tool has to itself. A tool outlives an agent that is killed: one that the next agent runs on the same file then waits until the first
   * has ended.
   */
  lock?: string;
}

/** Resolves to what it wrote on its standard output. The arguments are not interpreted by any shell. */
export function runCommand(program: string, args: string[], options: CommandOptions = {}): Promise<string> {
  const [file, argv] = options.lock === undefined ? [program, args] : ['flock', [options.lock, program, ...args]];
  return new Promise((resolve, reject) => {
    execFile(
      file,
      argv,
      {
        // An agent started by a service manager may lack the directories of the administrator's tools.
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
        timeout: options.timeoutMs ?? timeoutMs,
        maxBuffer: mostOutputBytes,
        killSignal: 'SIGKILL',
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        if ((error as NodeJS.ErrnoException).code === 'ENOENT')
          return reject(new CommandFailed(`${file} is not installed on this machine`, { missing: true }));
        const lines = stderr.trim().split('\n');
        const said = lines.find((line) => line.startsWith(`${program}: `)) ?? (lines[0] || error.message);
        const exitCode = typeof error.code === 'number' ? error.code : undefined;
        reject(
          new CommandFailed(`${program}: ${said.replace(`${program}: `, '')}`, {
            ...(exitCode !== undefined && { exitCode }),
          }),
        );
      },
    );
  });
}
