import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { DEFAULT_DATA_DIR_TEXT, defaultDataDir } from '../../runtime/rootless/directories.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { createLogger, withLogging } from '../logging.ts';
import { checkMachine } from '../machine.ts';
import { createProgress } from '../progress.ts';

interface CleanupOptions {
  dataDir?: string;
  sandboxes?: boolean;
  images?: boolean;
  fetched?: boolean;
  all?: boolean;
  logLevel: string;
}

/** `tepui agent cleanup`: takes an agent off a machine, as far as is asked for. Volumes always stay. */
export function addAgentCleanupCommand(agent: Command): void {
  const command = agent
    .command('cleanup')
    .description(
      'end every task of this agent and remove what it has on the machine: cgroups, mounts, network namespaces, addresses, loop devices, launchers; volumes stay',
    )
    // Not the default: the same option of `agent` comes first on the command line.
    .option('--data-dir <dir>', `the data directory (default: ${DEFAULT_DATA_DIR_TEXT})`)
    .option('--sandboxes', 'also remove the sandboxes of all tasks, with their logs')
    .option('--images', 'also remove the image store')
    .option('--fetched', 'also remove the cache of fetched files')
    .option('--all', 'all three of these');
  withLogging(command, 'warn').action(async (own: CleanupOptions, invoked: Command) => {
    const options: CleanupOptions = { ...invoked.optsWithGlobals<CleanupOptions>(), ...own };
    const dataDir = options.dataDir ?? defaultDataDir();
    await checkMachine({ dataDir, startsTasks: false });
    if (!existsSync(dataDir)) throw new CliError(`--data-dir: ${dataDir} does not exist`, EXIT_CODES.notFound.code);
    const { cleanupAgent } = await import('../../runtime/agent/index.ts');
    const { sandboxes, images, fetched, all } = options;
    await createProgress().step(
      'tasks ended, machine cleaned',
      () =>
        cleanupAgent({
          dataDir,
          logger: createLogger(options.logLevel),
          remove: {
            sandboxes: Boolean(sandboxes || all),
            images: Boolean(images || all),
            fetched: Boolean(fetched || all),
          },
        }),
      ({ ended }) => `${ended} ${ended === 1 ? 'task' : 'tasks'}`,
    );
  });
}
