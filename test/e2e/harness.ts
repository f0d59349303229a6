import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cliCommand } from '../../cli/self.ts';
import { createApiClient } from '../../controllers/machinery/client/api-client.ts';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { loadClusterConfig } from '../../controllers/machinery/client/kubeconfig.ts';
import { SLOW } from '../setup/slow.ts';

/** `tepui up` as a process, on a data directory of its own. */
export interface TestSystem {
  readonly dataDir: string;
  readonly kubeconfig: string;
  readonly client: ApiClient;
  readonly child: ChildProcess;
  /** What it has printed so far. */
  output(): string;
  /** Runs the real kubectl against it; `status` is the exit code. */
  kubectl(args: string[], input?: string): { stdout: string; stderr: string; status: number | null };
  /** Runs a tepui command against it. */
  tepui(args: string[], input?: string): { stdout: string; stderr: string; status: number | null };
  /** SIGKILLs the process, and waits until it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same data directory. */
  restart(): Promise<void>;
  /** Ends it and every task, and removes the data directory. */
  stop(): Promise<void>;
}

export async function startSystem(args: string[] = []): Promise<TestSystem> {
  const dataDir = realpathSync(mkdtempSync(join(tmpdir(), 'tepui-e2e-')));
  const kubeconfig = join(dataDir, 'kubeconfig');
  let child = await launch(dataDir, args);
  let client = createApiClient(await loadClusterConfig({ kubeconfig }));
  let port = portOf(child.text());
  const system = {
    dataDir,
    kubeconfig,
    get client() {
      return client;
    },
    get child() {
      return child.process;
    },
    output: () => child.text(),
    kubectl: (words: string[], input?: string) => runCommand('kubectl', words, { KUBECONFIG: kubeconfig }, input),
    tepui: (words: string[], input?: string) => {
      const [command, ...rest] = cliCommand(words);
      return runCommand(command as string, rest, { KUBECONFIG: kubeconfig }, input);
    },
    async kill() {
      const gone = new Promise((resolve) => child.process.once('exit', resolve));
      child.process.kill('SIGKILL');
      await gone;
    },
    async restart() {
      child = await launch(dataDir, ['--port', port, ...args]);
      await client.close();
      client = createApiClient(await loadClusterConfig({ kubeconfig }));
      port = portOf(child.text());
    },
    async stop() {
      if (!existsSync(dataDir)) return;
      await client.close();
      if (child.process.exitCode === null && child.process.signalCode === null) {
        const gone = new Promise((resolve) => child.process.once('exit', resolve));
        child.process.kill('SIGTERM');
        await gone;
      }
      const [command, ...rest] = cliCommand(['down', '--data-dir', dataDir]);
      const down = spawnSync(command as string, rest, { encoding: 'utf8' });
      rmSync(dataDir, { recursive: true, force: true });
      if (down.status !== 0) throw new Error(`tepui down failed: ${down.stderr}`);
    },
  };
  return system;
}

/** Asks until the answer is not undefined; fails with a sentence that says what was waited for. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs * SLOW;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`, { cause: last });
    await sleep(50);
  }
}

interface Launched {
  process: ChildProcess;
  text(): string;
}

async function launch(dataDir: string, args: string[]): Promise<Launched> {
  const [command, ...rest] = cliCommand([
    'up',
    '--data-dir',
    dataDir,
    '--name',
    'e2e',
    ...(args.includes('--port') ? [] : ['--port', '0']),
    ...args,
  ]);
  const child = spawn(command as string, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const append = (chunk: Buffer) => {
    text += chunk.toString();
  };
  child.stdout?.on('data', append);
  child.stderr?.on('data', append);
  await eventually(
    'tepui up to be ready',
    () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`it ended with ${child.exitCode ?? child.signalCode}:\n${text}`);
      return text.includes('Ready.') && existsSync(join(dataDir, 'kubeconfig')) ? true : undefined;
    },
    30_000,
  ).catch((error: Error) => {
    child.kill('SIGKILL');
    throw new Error(`${error.message}; it printed:\n${text}`, { cause: error });
  });
  return { process: child, text: () => text };
}

function portOf(text: string): string {
  return /https:\/\/[^:]+:(\d+)/.exec(text)?.[1] ?? '0';
}

function runCommand(command: string, args: string[], env: Record<string, string>, input?: string) {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 120_000,
    ...(input === undefined ? {} : { input }),
  });
  return { stdout: result.stdout, stderr: result.stderr, status: result.status };
}
