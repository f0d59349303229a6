import type { Command } from 'commander';
import { type ConnectionOptions, connect, withConnection } from '../connection.ts';
import { giveMemoryBackWhenIdle } from '../idle-memory.ts';
import { endRequested } from '../lifetime.ts';
import { createLogger, withLogging } from '../logging.ts';
import { startControllerPart } from '../parts.ts';

interface ControllerOptions extends ConnectionOptions {
  leaderElect?: boolean;
  metricsAddress?: string;
  logLevel: string;
}

/** `tepui controller`: only the controllers, against any Kubernetes API server. */
export function addControllerCommand(program: Command): void {
  const command = withConnection(
    program.command('controller').description('start only the controllers, against any Kubernetes API server'),
  )
    .option('--leader-elect', 'take part in leader election, so that of several only one is at work')
    .option('--metrics-address <host:port>', 'serve /healthz, /readyz and /metrics there');
  withLogging(command, 'info').action(async (options: ControllerOptions) => {
    const ended = endRequested();
    const logger = createLogger(options.logLevel);
    const client = await connect(options);
    const { leaderElect = false, metricsAddress } = options;
    const controllers = await startControllerPart({
      client,
      logger,
      leaderElect,
      inBackground: true,
      ...(metricsAddress ? { metricsAddress } : {}),
    });
    giveMemoryBackWhenIdle();
    try {
      await Promise.race([ended, controllers.ended]);
    } finally {
      await controllers.close();
      await client.close();
    }
  });
}
