import type { Command } from 'commander';
import { defaultDataDir } from '../../runtime/rootless/directories.ts';
import { type CniOptions, cniAgentOptions, withCni } from '../cni.ts';
import { type ConnectionOptions, connect, withConnection } from '../connection.ts';
import { type ContainerizerOptions, containerizerAgentOptions, withContainerizers } from '../containerizers.ts';
import { type DiskWatchOptions, diskWatchAgentOptions, withDiskWatch } from '../disk-watch.ts';
import { giveMemoryBackWhenIdle } from '../idle-memory.ts';
import { endRequested } from '../lifetime.ts';
import { createLogger, withLogging } from '../logging.ts';
import { checkMachine } from '../machine.ts';
import { parseHostPort } from '../numbers.ts';
import { startAgentPart } from '../parts.ts';
import { addAgentCleanupCommand } from './agent-cleanup.ts';
import { addAgentDescribeCommand } from './agent-describe.ts';

interface AgentOptions extends ConnectionOptions, CniOptions, DiskWatchOptions, ContainerizerOptions {
  name?: string;
  endpointAddress?: { host: string; port: number };
  logLevel: string;
}

/** `tepui agent`: only the node daemon. Its containers outlive it. */
export function addAgentCommand(program: Command): void {
  const command = withConnection(
    program.command('agent').description('start only the agent, which runs tasks on this machine'),
  )
    .option('--name <name>', 'name of the Agent document (default: the host name)')
    .option(
      '--endpoint-address <host:port>',
      'where logs, exec and stats are served to other machines: an address of this machine that they reach; port 0 takes any free one (default: 127.0.0.1:0)',
      parseHostPort,
    );
  withContainerizers(withDiskWatch(withCni(command)));
  addAgentDescribeCommand(command);
  addAgentCleanupCommand(command);
  withLogging(command, 'info').action(async (options: AgentOptions) => {
    const dataDir = options.dataDir ?? defaultDataDir();
    await checkMachine({ dataDir, startsTasks: true });
    const ended = endRequested();
    const logger = createLogger(options.logLevel);
    const client = await connect(options);
    const agent = await startAgentPart({
      client,
      dataDir,
      logger,
      ...(options.name ? { name: options.name } : {}),
      options: {
        ...cniAgentOptions(options),
        ...diskWatchAgentOptions(options),
        ...(options.endpointAddress && { endpoint: options.endpointAddress }),
        ...containerizerAgentOptions(options),
      },
    });
    giveMemoryBackWhenIdle();
    await ended;
    await agent.close();
    await client.close();
  });
}
