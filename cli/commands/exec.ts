import type { Command } from 'commander';
import { agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { runSession } from '../exec-session.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { getTask } from '../task-of.ts';

interface ExecOptions extends ConnectionOptions {
  namespace: string;
  container?: string;
  stdin?: boolean;
  tty?: boolean;
}

/** `tepui exec [-it] TASK -- COMMAND`: runs a command in a running container and ends with its exit code. */
export function addExecCommand(program: Command): void {
  withConnection(
    program
      .command('exec')
      .description('run a command in a running task')
      .argument('<task>', 'name of the task')
      .argument('<command...>', 'the command, after --')
      .usage('[options] <task> -- <command...>')
      .passThroughOptions(),
  )
    .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
    .option('-c, --container <name>', 'container of the task (default: its first)')
    .option('-i, --stdin', 'pass standard input to the command')
    .option('-t, --tty', 'give the command a terminal')
    .addHelpText(
      'after',
      '\nThe exit code is that of the command, or 128 + N when signal N ended it, or 125 when it was never started.',
    )
    .action(async (name: string, words: string[], options: ExecOptions) => {
      const argv = words[0] === '--' ? words.slice(1) : words;
      const client = await connect(options);
      const task = await getTask(client, options.namespace, name);
      const agent = task.spec.binding?.agentName;
      if (!agent || task.status?.state !== 'Running')
        throw new CliError(
          `task "${name}" is not running (${task.status?.state ?? 'Staging'})`,
          EXIT_CODES.taskNotRun.code,
        );
      if (options.tty && !process.stdin.isTTY)
        throw new CliError('-t: standard input is not a terminal', EXIT_CODES.usage.code);
      const query = new URLSearchParams(argv.map((word) => ['command', word]));
      query.set('stdin', String(options.stdin === true));
      query.set('tty', String(options.tty === true));
      if (options.container) query.set('container', options.container);
      if (options.tty) {
        query.set('columns', String(process.stdout.columns ?? 80));
        query.set('rows', String(process.stdout.rows ?? 24));
      }
      const endpoint = await agentEndpoint(client, agent, await tokenOf(options));
      const socket = endpoint.webSocket(`/exec/${options.namespace}/${name}?${query}`, ['v5.channel.k8s.io']);
      process.exitCode = await runSession(socket, { stdin: options.stdin === true, tty: options.tty === true });
    });
}
