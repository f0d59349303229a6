import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { syncDirectory } from '../../controllers/gitops/directory.ts';
import { createApiClient } from '../../controllers/machinery/client/api-client.ts';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { loadClusterConfig } from '../../controllers/machinery/client/kubeconfig.ts';
import { createProgress } from '../progress.ts';
import { cliCommand } from '../self.ts';
import { provideTexts } from './texts.ts';
import { waitFor } from './wait-for.ts';

/** A server, a controller and an agent, each a process of its own, on an empty data directory. */
export interface System {
  client: ApiClient;
  dataDir: string;
  /** The directory of texts whose words are counted. */
  texts: string;
  signal: AbortSignal;
  /** Pid of the agent process now. */
  agentPid(): number;
  killAgent(): Promise<void>;
  startAgent(): Promise<void>;
  /** Ends all tasks and processes; idempotent. */
  stop(): Promise<void>;
  removeData(): Promise<void>;
  /** The end of each process's log, for when something went wrong. */
  logTail(): string;
}

const QUICKSTART = new URL('../../manifests/examples/quickstart', import.meta.url).pathname;

export async function startSystem(out: NodeJS.WritableStream, signal: AbortSignal): Promise<System> {
  if (process.getuid?.() !== 0) throw new Error('the demo starts containers and needs root: run it with sudo');
  const dataDir = realpathSync(mkdtempSync(join(tmpdir(), 'tepui-demo-')));
  const logDir = join(dataDir, 'log');
  await mkdir(logDir);
  const processes = new Map<string, ChildProcess>();
  const progress = createProgress(out as NodeJS.WriteStream);
  const kubeconfig = join(dataDir, 'kubeconfig');
  const launch = (name: string, args: string[]) => {
    const log = openSync(join(logDir, `${name}.log`), 'a', 0o600);
    const [command, ...rest] = cliCommand([...args, '--data-dir', dataDir]);
    const child = spawn(command as string, rest, { stdio: ['ignore', log, log] });
    closeSync(log);
    processes.set(name, child);
    return child;
  };
  const logTail = () =>
    ['server', 'controller', 'agent']
      .map((name) => join(logDir, `${name}.log`))
      .filter((file) => existsSync(file))
      .map((file) => `--- ${file}\n${readFileSync(file, 'utf8').split('\n').slice(-15).join('\n')}`)
      .join('\n');
  const stopProcess = async (name: string, how: NodeJS.Signals) => {
    const child = processes.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(how);
    await ended;
  };
  const stop = async () => {
    await stopProcess('agent', 'SIGTERM');
    const [command, ...rest] = cliCommand(['down', '--data-dir', dataDir]);
    await new Promise((resolve) => spawn(command as string, rest, { stdio: 'ignore' }).once('exit', resolve));
    await stopProcess('controller', 'SIGTERM');
    await stopProcess('server', 'SIGTERM');
    await system?.client.close();
  };
  let system: System | undefined;
  try {
    await progress.step('API server', async () => {
      const server = launch('server', ['server', '--port', '0']);
      await waitFor(
        'the API server',
        async () => {
          ended(server, logTail);
          return existsSync(kubeconfig) ? true : undefined;
        },
        20_000,
        signal,
      );
    });
    const client = createApiClient(await loadClusterConfig({ kubeconfig }));
    await waitFor(
      'the API server',
      async () => ((await client.raw('GET', '/readyz').catch(() => undefined))?.status === 200 ? true : undefined),
      20_000,
      signal,
    );
    await waitFor(
      'the tepui kinds',
      async () =>
        (await client.raw('GET', '/apis/tepui.dev/v1alpha1').catch(() => undefined))?.status === 200 ? true : undefined,
      20_000,
      signal,
    );
    const startAgent = async () => {
      const agent = launch('agent', ['agent', '--name', 'demo']);
      const { Agent } = await import('../../controllers/machinery/client/resources.ts');
      await waitFor(
        'the agent to be ready',
        async () => {
          ended(agent, logTail);
          const document = await client.get(Agent, { name: 'demo' });
          return document?.status?.conditions?.some(
            (condition) => condition.type === 'Ready' && condition.status === 'True',
          )
            ? true
            : undefined;
        },
        60_000,
        signal,
      );
    };
    await progress.step('controller', async () => void launch('controller', ['controller']));
    await progress.step('agent (builds its launcher the first time)', startAgent);
    const texts = provideTexts();
    await progress.step(`apply ${QUICKSTART.replace(process.cwd(), '.')}`, async () => {
      const problems: string[] = [];
      await syncDirectory({
        client,
        directory: QUICKSTART,
        onEvent: (event) => void (event.type === 'error' && problems.push(`${event.place}: ${event.message}`)),
      });
      if (problems.length > 0) throw new Error(problems.join('\n'));
    });
    system = {
      client,
      dataDir,
      texts,
      signal,
      logTail,
      startAgent,
      stop,
      agentPid: () => processes.get('agent')?.pid ?? 0,
      killAgent: () => stopProcess('agent', 'SIGKILL'),
      removeData: async () => rmSync(dataDir, { recursive: true, force: true }),
    };
    return system;
  } catch (error) {
    await stop();
    const tail = logTail();
    rmSync(dataDir, { recursive: true, force: true });
    throw new Error(`${(error as Error).message}\n${tail}`);
  }
}

function ended(child: ChildProcess, logTail: () => string): void {
  if (child.exitCode !== null) throw new Error(`a process ended with code ${child.exitCode}\n${logTail()}`);
}
