import type { Command } from 'commander';
import { agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { attach, streamsOf } from '../session/attach.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../session/detach-keys.ts';
import { runningTask } from '../task-of.ts';

interface AttachCommandOptions extends ConnectionOptions {
  namespace: string;
  container?: string;
  stdin: boolean;
  closeStdin?: boolean;
  detachKeys: string;
}

/** `tepui attach TASK`: joins the terminal, or the standard streams, of a running container. */
export function addAttachCommand(program: Command): void {
  withConnection(
    program
      .command('attach')
      .description('join the terminal or the standard streams of a running task')
      .argument('<task>', 'name of the task'),
  )
    .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
    .option('-c, --container <name>', 'container of the task (default: its first)')
    .option('--no-stdin', 'only look on')
    .option('--close-stdin', "when standard input ends, end the container's standard input for good")
    .option('--detach-keys <keys>', 'keys that detach, in a terminal; "" for none', DEFAULT_DETACH_KEYS)
    .addHelpText(
      'after',
      '\nNeeds a container with `tty` or `stdin`; `tepui logs -f` follows any other.\nThe container goes on when this command ends; when the container ends, its exit code is this command’s.',
    )
    .action(async (name: string, options: AttachCommandOptions) => {
      const detachKeys = parseDetachKeys(options.detachKeys);
      const client = await connect(options);
      const { task, agent } = await runningTask(client, options.namespace, name);
      const streams = streamsOf(task, options.container);
      if (!streams.tty && !streams.stdin)
        throw new CliError(
          `container "${streams.name}" of task "${name}" has neither \`tty\` nor \`stdin\`: follow it with \`tepui logs -f ${name}\``,
        );
      const token = await tokenOf(options);
      const stdin = options.stdin && streams.stdin;
      const outcome = await attach(() => agentEndpoint(client, agent, token), {
        namespace: options.namespace,
        task: name,
        container: streams.name,
        stdin,
        tty: streams.tty && process.stdin.isTTY === true && process.stdout.isTTY === true,
        closeStdin: options.closeStdin === true,
        detachKeys,
      });
      if (outcome.kind === 'detached') process.stderr.write(`tepui: detached; task ${name} goes on\n`);
      process.exitCode = outcome.kind === 'ended' ? outcome.code : EXIT_CODES.ok.code;
    });
}
