/** Option of the commands that start an agent: how often disk usage is measured. */
import type { Command } from 'commander';
import type { AgentOptions } from '../runtime/agent/index.ts';
import { parseInteger } from './numbers.ts';

export interface DiskWatchOptions {
  diskWatchInterval?: number;
}

export function withDiskWatch(command: Command): Command {
  return command.option(
    '--disk-watch-interval <seconds>',
    'how often the disk usage of sandboxes and volumes with a limit is measured (default: 15)',
    parseInteger(1),
  );
}

export function diskWatchAgentOptions({ diskWatchInterval }: DiskWatchOptions): AgentOptions {
  return diskWatchInterval === undefined ? {} : { diskWatchIntervalSeconds: diskWatchInterval };
}
