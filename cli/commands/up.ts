import { existsSync, realpathSync } from 'node:fs';
import type { Command } from 'commander';
import type { DirectoryEvent } from '../../controllers/gitops/directory.ts';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { DEFAULT_DATA_DIR_TEXT, defaultDataDir } from '../../runtime/rootless/directories.ts';
import { type CniOptions, cniAgentOptions, withCni } from '../cni.ts';
import { type ContainerizerOptions, containerizerAgentOptions, withContainerizers } from '../containerizers.ts';
import { type DiskWatchOptions, diskWatchAgentOptions, withDiskWatch } from '../disk-watch.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { giveMemoryBackWhenIdle } from '../idle-memory.ts';
import { endRequested } from '../lifetime.ts';
import { createLogger, withLogging } from '../logging.ts';
import { checkMachine } from '../machine.ts';
import { parsePort } from '../numbers.ts';
import { clientOf, startAgentPart, startControllerPart, startServerPart } from '../parts.ts';
import { createProgress, type Progress } from '../progress.ts';

interface UpOptions extends CniOptions, DiskWatchOptions, ContainerizerOptions {
  dataDir?: string;
  port: number;
  address: string;
  filename?: string;
  name?: string;
  metricsAddress?: string;
  logLevel: string;
}

/** `tepui up`: API server, controllers and agent in one process, until it is asked to end. Tasks outlive it. */
export function addUpCommand(program: Command): void {
  const command = program
    .command('up')
    .description('start everything on this machine: API server, controllers and agent in one process')
    .option('--data-dir <dir>', `where all state is kept (default: ${DEFAULT_DATA_DIR_TEXT})`)
    .option('--port <port>', 'port of the API server; 0 takes any free one', parsePort, 5050)
    .option('--address <address>', 'address to listen on', '127.0.0.1')
    .option(
      '-f, --filename <path>',
      'apply this directory (or file) of manifests and keep it applied while it changes, pruning what is removed from it',
    )
    .option('--name <name>', 'name of this agent (default: the host name)')
    .option('--metrics-address <host:port>', 'serve /healthz, /readyz and /metrics of the controllers there');
  withContainerizers(withDiskWatch(withCni(command)));
  withLogging(command, 'warn').action(up);
}

async function up(options: UpOptions): Promise<void> {
  const { dataDir = defaultDataDir(), port, address } = options;
  await checkMachine({ dataDir, startsTasks: true });
  const directory = options.filename === undefined ? undefined : manifestPath(options.filename);
  const progress = createProgress();
  const logger = createLogger(options.logLevel);
  const ended = endRequested();
  const stops: (() => Promise<void>)[] = [];
  try {
    const server = await progress.step(
      'API server',
      () => startServerPart({ dataDir, port, address, logger }),
      ({ port }) => `https://${address}:${port}`,
    );
    stops.unshift(() => server.close());
    const client = await clientOf(server.kubeconfigPath, server.loopback);
    stops.unshift(() => client.close());
    const controllers = await progress.step('controllers', () =>
      startControllerPart({
        client,
        logger,
        ...(options.metricsAddress ? { metricsAddress: options.metricsAddress } : {}),
      }),
    );
    stops.unshift(() => controllers.close());
    const agent = await progress.step(
      'agent',
      () =>
        startAgentPart({
          client,
          dataDir,
          logger,
          options: {
            ...cniAgentOptions(options),
            ...diskWatchAgentOptions(options),
            ...containerizerAgentOptions(options),
          },
          ...(options.name ? { name: options.name } : {}),
        }),
      ({ name }) => name,
    );
    stops.unshift(() => agent.close());
    giveMemoryBackWhenIdle();
    progress.line(`\nReady. Try:\n  KUBECONFIG=${server.kubeconfigPath} kubectl get frameworks,tasks,volumes,agents\n`);
    const following = new AbortController();
    const follow = directory ? followManifests(client, directory, progress, following.signal) : Promise.resolve();
    await ended;
    following.abort();
    await follow;
    progress.line('\nStopping. Running tasks are left running: `tepui up` takes them back, `tepui down` ends them.');
  } finally {
    for (const stop of stops) await stop();
  }
}

async function followManifests(
  client: ApiClient,
  directory: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { followDirectory } = await import('../../controllers/gitops/directory.ts');
  await followDirectory({ client, directory, onEvent: (event) => printDirectoryEvent(progress, event) }, signal);
}

function manifestPath(path: string): string {
  if (!existsSync(path)) throw new CliError(`-f: ${path} does not exist`, EXIT_CODES.usage.code);
  return realpathSync(path);
}

function printDirectoryEvent(progress: Progress, event: DirectoryEvent): void {
  if (event.type === 'error') progress.line(`✘ ${event.place}: ${event.message}`);
  else if (event.type === 'synced') {
    if (event.errors > 0)
      progress.line(
        `  ${event.applied} documents applied, ${event.errors} with errors: trying again as files change, or in 5 s`,
      );
  } else if (event.type !== 'unchanged') progress.line(`  ${event.kind.toLowerCase()}/${event.name} ${event.type}`);
}
