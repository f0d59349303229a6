/** Calls one CNI plug-in: a program that is told by its environment what to do, reads its configuration from standard input and answers in JSON. */
import { type ChildProcess, spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'VERSION';

export interface PluginCall {
  command: CniCommand;
  /** Path of the program. */
  program: string;
  /** Directories that the plug-in finds other plug-ins in (IPAM). */
  pluginPath: string;
  /** Sent as JSON. */
  configuration: Record<string, unknown>;
  /** Absent for VERSION and GC. */
  attachment?: {
    containerId: string;
    /** Empty when the namespace is gone: only for DEL. */
    namespacePath: string;
    interfaceName: string;
    /** `KEY=value;KEY=value`. */
    args: string;
  };
  /** Who calls: with this the next process of the same agent finds what one that was killed had called. */
  owner?: string | undefined;
  /** Then the plug-in and all it started are killed. */
  timeoutMs: number;
  /** Aborted: the same, at once. */
  signal?: AbortSignal | undefined;
}

/** A plug-in failed: with its own code and words where it gave them. */
export class PluginFailed extends Error {
  override name = 'PluginFailed';
  readonly plugin: string;
  readonly command: CniCommand;
  /** Of the specification's error result; undefined when the plug-in gave none (killed, no JSON). */
  readonly code: number | undefined;
  readonly timedOut: boolean;

  constructor(
    call: Pick<PluginCall, 'program' | 'command'>,
    problem: { message: string; code?: number; timedOut?: boolean },
  ) {
    const plugin = call.program.slice(call.program.lastIndexOf('/') + 1);
    const code = problem.code === undefined ? '' : ` (code ${problem.code})`;
    super(`CNI plug-in "${plugin}" failed ${call.command}: ${problem.message}${code}`);
    this.plugin = plugin;
    this.command = call.command;
    this.code = problem.code;
    this.timedOut = problem.timedOut ?? false;
  }
}

/** No directory of the plug-in path has the program, or it must not be run. */
export class PluginMissing extends Error {
  override name = 'PluginMissing';
}

export const OWNER_VARIABLE = 'TEPUI_CNI_OWNER';

const MAX_OUTPUT = 1 << 20;
/** For what a plug-in left running to let go of its output. */
const DRAIN_MS = 500;
/** Plug-ins call iptables, ip and the like. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The program of that name in the first directory that has it. Rejects with PluginMissing. */
export async function findPlugin(pluginPath: string, type: string): Promise<string> {
  const directories = pluginPath.split(delimiter).filter((directory) => directory.startsWith('/'));
  for (const directory of directories) {
    const program = join(directory, type);
    const found = await stat(program).catch(() => undefined);
    if (!found?.isFile() || (found.mode & 0o111) === 0) continue;
    if ((found.mode & 0o002) !== 0)
      throw new PluginMissing(`CNI plug-in ${program} is writable by everybody: it is not run`);
    return program;
  }
  throw new PluginMissing(`CNI plug-in "${type}" is in none of the directories ${directories.join(', ')}`);
}

/** Resolves to the plug-in's answer, undefined when there is none (DEL, CHECK, GC). Rejects with PluginFailed. */
export async function callPlugin(call: PluginCall): Promise<Record<string, unknown> | undefined> {
  const { exitCode, signal, stdout, stderr, timedOut } = await execute(call);
  const fail = (message: string, code?: number): never => {
    throw new PluginFailed(call, { message, ...(code !== undefined && { code }), timedOut });
  };
  if (timedOut) fail(`it did not end within ${call.timeoutMs / 1000} s and was killed`);
  if (call.signal?.aborted) fail('it was stopped, since its result is not wanted any more');
  const answer = parseAnswer(stdout);
  if (exitCode === 0) {
    if (answer === 'broken') return fail(`it answered what is not a JSON object: ${brief(stdout)}`);
    return answer;
  }
  const told = answer !== 'broken' && typeof answer?.msg === 'string' ? answer : undefined;
  if (told === undefined) {
    const end = signal === null ? `exited with code ${exitCode}` : `was ended by ${signal}`;
    return fail(`it ${end}${brief(stderr || stdout) && `: ${brief(stderr || stdout)}`}`);
  }
  const details = typeof told.details === 'string' && told.details !== '' ? `; ${brief(told.details)}` : '';
  return fail(`${brief(String(told.msg))}${details}`, typeof told.code === 'number' ? told.code : undefined);
}

interface Ended {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
}

async function execute(call: PluginCall): Promise<Ended> {
  const child = spawn(call.program, [], {
    env: environment(call),
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
    // A process group of its own: killed as a whole, and not reached by a terminal's Ctrl-C, which would leave a network half made.
    detached: true,
  });
  const output = [collect(child.stdout), collect(child.stderr)];
  const ended = Promise.withResolvers<Pick<Ended, 'exitCode' | 'signal'>>();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, call.timeoutMs);
  const stop = (): void => killGroup(child);
  call.signal?.addEventListener('abort', stop);
  child.once('error', (cause) => ended.reject(new PluginFailed(call, { message: cause.message })));
  child.once('close', (exitCode, signal) => ended.resolve({ exitCode, signal }));
  child.once('exit', (exitCode, signal) => {
    setTimeout(() => ended.resolve({ exitCode, signal }), DRAIN_MS).unref();
  });
  child.stdin.on('error', () => {}); // it may end without reading
  child.stdin.end(JSON.stringify(call.configuration));
  try {
    const end = await ended.promise;
    return { ...end, timedOut, stdout: output[0]!(), stderr: output[1]!() };
  } finally {
    clearTimeout(timer);
    call.signal?.removeEventListener('abort', stop);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function environment({ command, pluginPath, attachment, owner }: PluginCall): Record<string, string> {
  return {
    PATH: SYSTEM_PATH,
    CNI_COMMAND: command,
    CNI_PATH: pluginPath,
    ...(owner !== undefined && { [OWNER_VARIABLE]: owner }),
    ...(attachment && {
      CNI_CONTAINERID: attachment.containerId,
      CNI_NETNS: attachment.namespacePath,
      CNI_IFNAME: attachment.interfaceName,
      CNI_ARGS: attachment.args,
    }),
  };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let length = 0;
  stream.on('data', (chunk: Buffer) => {
    if (length < MAX_OUTPUT) chunks.push(chunk);
    length += chunk.length;
  });
  stream.on('error', () => {});
  return () => Buffer.concat(chunks).toString('utf8');
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function parseAnswer(text: string): Record<string, unknown> | undefined | 'broken' {
  if (text.trim() === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : 'broken';
  } catch {
    return 'broken';
  }
}

function brief(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, ' ');
  return line.length > 500 ? `${line.slice(0, 500)}...` : line;
}
