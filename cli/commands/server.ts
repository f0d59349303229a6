import type { Command } from 'commander';
import { DEFAULT_DATA_DIR_TEXT, defaultDataDir } from '../../runtime/rootless/directories.ts';
import { giveMemoryBackWhenIdle } from '../idle-memory.ts';
import { endRequested } from '../lifetime.ts';
import { createLogger, withLogging } from '../logging.ts';
import { parsePort } from '../numbers.ts';
import { startServerPart } from '../parts.ts';

/** `tepui server`: only the embedded API server. */
export function addServerCommand(program: Command): void {
  const command = program
    .command('server')
    .description('start only the embedded API server; its kubeconfig is DIR/kubeconfig')
    .option('--data-dir <dir>', `where its state is kept (default: ${DEFAULT_DATA_DIR_TEXT})`)
    .option('--port <port>', 'port to listen on; 0 takes any free one', parsePort, 5050)
    .option('--address <address>', 'address to listen on', '127.0.0.1');
  withLogging(command, 'info').action(
    async (options: { dataDir?: string; port: number; address: string; logLevel: string }) => {
      const ended = endRequested();
      const logger = createLogger(options.logLevel);
      const server = await startServerPart({ dataDir: defaultDataDir(), ...options, logger });
      process.stderr.write(
        `API server: https://${options.address}:${server.port}, kubeconfig ${server.kubeconfigPath}\n`,
      );
      giveMemoryBackWhenIdle();
      await ended;
      await server.close();
    },
  );
}
