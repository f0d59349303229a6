/** Runs one more command in a living container: the launcher's `exec` role as a child of this process, with its streams. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { ExecSession } from '../containerizers/containerizer.ts';
import { encodeExec } from './encode.ts';
import { LaunchFailed } from './errors.ts';
import type { ExecLaunchRequest } from './operations.ts';

interface StatusLine {
  pid?: number;
  failed?: { op: number; errno: number; step: string; message: string };
  exitCode?: number;
  signal?: number;
}

/** Resolves with the command running; rejects with LaunchFailed. `stdin: false` gives the command an empty input. */
export async function startExec(
  binary: string,
  request: ExecLaunchRequest,
  { stdin = true } = {},
): Promise<ExecSession> {
  const frame = encodeExec(request);
  // No environment and no other descriptor: nothing of this process gets near the container.
  const child = spawn(binary, ['exec'], {
    stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: {},
    cwd: '/',
  });
  const [control, status, input] = [3, 4, 5].map((fd) => child.stdio[fd]) as [Writable, Readable, Writable];
  for (const stream of [control, input, child.stdin]) stream?.on('error', () => {}); // the end is told by the status
  input.end(frame);
  const { started, exit } = followStatus(child, status, request);
  exit.catch(() => {});
  await started;
  return {
    ...(child.stdin && { stdin: child.stdin }),
    stdout: child.stdout as Readable,
    ...(request.tty ? {} : { stderr: child.stderr as Readable }),
    resize: ({ columns, rows }) => void control.write(`resize ${columns} ${rows}\n`),
    signal: (signal) => void control.write(`signal ${signal}\n`),
    exit,
  };
}

function followStatus(
  child: ChildProcess,
  status: Readable,
  request: ExecLaunchRequest,
): { started: Promise<void>; exit: ExecSession['exit'] } {
  const started = Promise.withResolvers<void>();
  const exit = Promise.withResolvers<{ exitCode?: number; signal?: number }>();
  let ended: { exitCode?: number; signal?: number } | undefined;
  createInterface({ input: status }).on('line', (text) => {
    const line = JSON.parse(text) as StatusLine;
    if (line.pid !== undefined) started.resolve();
    else if (line.failed) started.reject(failure(line.failed, request));
    else ended = line;
  });
  const broken = (message: string): void => {
    started.reject(new LaunchFailed({ step: 'exec', errno: 0, message }));
    // Killed together with its container, for example: then that is how the command ended too.
    exit.resolve(ended ?? { signal: 9 });
  };
  child.once('error', (error) => broken(`the launcher cannot be run: ${error.message}`));
  child.once('close', (code, signal) => broken(`the launcher ended (${signal ?? code}) before the command ran`));
  return { started: started.promise, exit: exit.promise };
}

function failure(
  { op, errno, step, message }: NonNullable<StatusLine['failed']>,
  request: ExecLaunchRequest,
): LaunchFailed {
  const name = request.operations[op]?.op;
  return new LaunchFailed({ ...(op >= 0 && { opIndex: op }), ...(name && { op: name }), step, errno, message });
}
