import type { Command } from 'commander';
import { agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { CliError } from '../exit-codes.ts';
import { parseInteger } from '../numbers.ts';
import { streamLogs } from '../stream-logs.ts';
import { getTask } from '../task-of.ts';

interface LogsOptions extends ConnectionOptions {
  namespace: string;
  container?: string;
  follow?: boolean;
  stderr?: boolean;
  stdout?: boolean;
  tail?: number;
}

/** `tepui logs [-f] TASK`: what a task wrote: both streams, or one of them. */
export function addLogsCommand(program: Command): void {
  withConnection(program.command('logs').description("print a task's output").argument('<task>', 'name of the task'))
    .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
    .option('-c, --container <name>', 'container of the task (default: its first)')
    .option('-f, --follow', 'go on until the task ends')
    .option('--tail <lines>', 'only the last lines of each stream', parseInteger(0))
    .option('--stdout', 'only standard output')
    .option('--stderr', 'only standard error')
    .action(async (name: string, options: LogsOptions) => {
      const client = await connect(options);
      const task = await getTask(client, options.namespace, name);
      const agent = task.spec.binding?.agentName;
      if (!agent)
        throw new CliError(
          `task "${name}" has not been placed on an agent, so it has no output: see \`tepui why ${name}\``,
        );
      const endpoint = await agentEndpoint(client, agent, await tokenOf(options));
      const request = {
        namespace: options.namespace,
        task: name,
        follow: options.follow === true,
        ...(options.container ? { container: options.container } : {}),
        ...(options.tail === undefined ? {} : { tail: options.tail }),
      };
      const both = options.stdout === options.stderr;
      const streams = [
        ...(both || options.stdout ? [streamLogs(endpoint, { ...request, file: 'stdout' }, process.stdout)] : []),
        ...(both || options.stderr ? [streamLogs(endpoint, { ...request, file: 'stderr' }, process.stderr)] : []),
      ];
      await Promise.all(streams);
    });
}
