/**
 * Runs one more command in a living container, or a helper in namespaces of its own: the launcher's `exec` role as a child of this process,
 * with its streams.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { ExecSession } from '../containerizers/containerizer.ts';
import { encodeExec, encodeLaunch } from './encode.ts';
import { LaunchFailed } from './errors.ts';
import { keepUnread } from './keep-unread.ts';
import type { ExecLaunchRequest, LaunchRequest, LogSink, Operation } from './operations.ts';

const UNREAD_MS = 10_000;

interface StatusLine {
  pid?: number;
  failed?: { op: number; errno: number; step: string; message: string };
  exitCode?: number;
  signal?: number;
}

/** Resolves with the command running; rejects with LaunchFailed. `stdin: false` gives the command an empty input. */
export function startExec(binary: string, request: ExecLaunchRequest, { stdin = true } = {}): Promise<ExecSession> {
  return startSession(binary, request, encodeExec(request), { stdin, tty: request.tty !== undefined });
}

/** A command that lives no longer than this process, in namespaces of its own. */
export type ConfinedRequest = Pick<LaunchRequest, 'containerId' | 'namespaces' | 'operations' | 'argv' | 'env'>;

/** As startExec. Nobody supervises it, and nothing is left of it: neither logs nor an exit record. */
export function runConfined(binary: string, request: ConfinedRequest, { stdin = true } = {}): Promise<ExecSession> {
  const none: LogSink = { path: '/dev/null', maxBytes: 0, maxFiles: 0, uid: 0, gid: 0 };
  const frame = encodeLaunch({ ...request, stdin, stdout: none, stderr: none, exitRecord: '/dev/null' }, 0);
  return startSession(binary, request, frame, { stdin, tty: false });
}

async function startSession(
  binary: string,
  { operations }: Pick<LaunchRequest, 'operations'>,
  frame: Buffer,
  { stdin, tty }: { stdin: boolean; tty: boolean },
): Promise<ExecSession> {
  // No environment and no other descriptor: nothing of this process gets near the container.
  const child = spawn(binary, ['exec'], {
    stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: {},
    cwd: '/',
  });
  const [control, status, input] = [3, 4, 5].map((fd) => child.stdio[fd]) as [Writable, Readable, Writable];
  for (const stream of [control, input, child.stdin]) stream?.on('error', () => {}); // the end is told by the status
  keepUnread(child, 1, 2);
  input.end(frame);
  const { started, exit } = followStatus(child, status, operations);
  exit.catch(() => {});
  await started.catch((error: unknown) => {
    for (const stream of [child.stdout, child.stderr]) stream?.destroy();
    throw error;
  });
  return {
    ...(child.stdin && { stdin: child.stdin }),
    stdout: child.stdout as Readable,
    ...(tty ? {} : { stderr: child.stderr as Readable }),
    resize: ({ columns, rows }) => void control.write(`resize ${columns} ${rows}\n`),
    signal: (signal) => void control.write(`signal ${signal}\n`),
    exit,
  };
}

function followStatus(
  child: ChildProcess,
  status: Readable,
  operations: Operation[],
): { started: Promise<void>; exit: ExecSession['exit'] } {
  const started = Promise.withResolvers<void>();
  const exit = Promise.withResolvers<{ exitCode?: number; signal?: number }>();
  let ended: { exitCode?: number; signal?: number } | undefined;
  const lines = createInterface({ input: status });
  lines.on('line', (text) => {
    const line = JSON.parse(text) as StatusLine;
    if (line.pid !== undefined) started.resolve();
    else if (line.failed) started.reject(failure(line.failed, operations));
    else ended = line;
  });
  const gone = Promise.withResolvers<string>();
  child.once('error', (error) => gone.resolve(`the launcher cannot be run: ${error.message}`));
  child.once('exit', (code, signal) => gone.resolve(`the launcher ended (${signal ?? code}) before the command ran`));
  const told = new Promise((resolve) => lines.once('close', resolve));
  void Promise.all([gone.promise, told, read(child.stdout!, child), read(child.stderr!, child)]).then(([message]) => {
    started.reject(new LaunchFailed({ step: 'exec', errno: 0, message }));
    // Killed together with its container, for example: then that is how the command ended too.
    exit.resolve(ended ?? { signal: 9 });
  });
  return { started: started.promise, exit: exit.promise };
}

/** An output that nobody reads does not hold up the end. It is kept for whoever comes a little later, and dropped then. */
function read(stream: Readable, child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    stream.once('close', resolve);
    child.once('error', () => stream.destroy());
    child.once('exit', () => {
      if (stream.readableFlowing !== null || stream.listenerCount('readable') > 0) return;
      resolve();
      setTimeout(() => stream.readableFlowing === null && stream.resume(), UNREAD_MS).unref();
    });
  });
}

function failure(
  { op, errno, step, message }: NonNullable<StatusLine['failed']>,
  operations: Operation[],
): LaunchFailed {
  const name = operations[op]?.op;
  return new LaunchFailed({ ...(op >= 0 && { opIndex: op }), ...(name && { op: name }), step, errno, message });
}
