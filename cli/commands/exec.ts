import type { Command } from 'commander';
import { agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { openConsole } from '../session/console.ts';
import { runSession } from '../session/session.ts';
import { runningTask } from '../task-of.ts';

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
      '\nThe exit code is that of the command, or 128 + N when signal N ended it, or 125 when it was never started.\nThe command ends when this one does; with -t every key goes to it, ctrl-c too.',
    )
    .action(async (name: string, words: string[], _options: ExecOptions, command: Command) => {
      const argv = commandOf(words, command);
      const options = command.opts<ExecOptions>();
      const client = await connect(options);
      const { agent } = await runningTask(client, options.namespace, name);
      const [stdin, tty] = [options.stdin === true, options.tty === true];
      if (tty && !process.stdin.isTTY)
        throw new CliError('-t: standard input is not a terminal', EXIT_CODES.usage.code);
      const query = new URLSearchParams(argv.map((word) => ['command', word]));
      query.set('stdin', String(stdin));
      query.set('tty', String(tty));
      if (options.container) query.set('container', options.container);
      const local = openConsole({ raw: tty && stdin });
      try {
        if (tty) {
          query.set('columns', String(local.size().columns));
          query.set('rows', String(local.size().rows));
        }
        const endpoint = await agentEndpoint(client, agent, await tokenOf(options));
        const socket = endpoint.webSocket(`/exec/${options.namespace}/${name}?${query}`, ['v5.channel.k8s.io']);
        const outcome = await runSession(socket, local, {
          stdin,
          tty,
          holdsUp: true,
          passSignals: !(tty && stdin),
        });
        if (outcome.kind !== 'ended')
          throw new CliError('the agent closed the session before the command ended', EXIT_CODES.taskNotRun.code);
        process.exitCode = outcome.code;
      } finally {
        local.close();
      }
    });
}

/** What is after `--`. Options may stand between the task and it, as in kubectl; without `--` everything after the task is the command. */
function commandOf(words: string[], command: Command): string[] {
  const end = words.indexOf('--');
  if (end < 0 || (end > 0 && !words[0]!.startsWith('-'))) return words;
  const { operands, unknown } = command.parseOptions(words.slice(0, end));
  const odd = [...operands, ...unknown][0];
  if (odd !== undefined) throw new CliError(`"${odd}" is no option of exec`, EXIT_CODES.usage.code);
  const argv = words.slice(end + 1);
  if (argv.length === 0) throw new CliError('the command is missing', EXIT_CODES.usage.code);
  return argv;
}
