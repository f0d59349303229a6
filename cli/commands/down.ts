import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { DEFAULT_DATA_DIR_TEXT, defaultDataDir } from '../../runtime/rootless/directories.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { createLogger, withLogging } from '../logging.ts';
import { checkMachine } from '../machine.ts';
import { createProgress } from '../progress.ts';

/** `tepui down`: ends every task of a data directory and removes cgroups, mounts and the launcher. Volumes and documents stay. */
export function addDownCommand(program: Command): void {
  const command = program
    .command('down')
    .description('end every task of a data directory and clean up; volumes and documents stay')
    .option('--data-dir <dir>', `the data directory (default: ${DEFAULT_DATA_DIR_TEXT})`);
  withLogging(command, 'warn').action(async (options: { dataDir?: string; logLevel: string }) => {
    const { dataDir = defaultDataDir() } = options;
    await checkMachine({ dataDir, startsTasks: false });
    if (!existsSync(dataDir)) throw new CliError(`--data-dir: ${dataDir} does not exist`, EXIT_CODES.notFound.code);
    const { cleanupAgent } = await import('../../runtime/agent/index.ts');
    const logger = createLogger(options.logLevel);
    await createProgress().step(
      'tasks ended, machine cleaned',
      () => cleanupAgent({ dataDir, logger }),
      ({ ended }) => `${ended} ${ended === 1 ? 'container' : 'containers'}`,
    );
  });
}
