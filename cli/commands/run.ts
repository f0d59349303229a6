import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { Task } from '../../controllers/machinery/client/resources.ts';
import { connect, tokenOf, withConnection } from '../connection.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { endRequested } from '../lifetime.ts';
import { whenReaderGoes } from '../output.ts';
import { followRun } from '../run/follow.ts';
import { type RunOptions, taskOf } from '../run/task.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../session/detach-keys.ts';

/** `tepui run -- COMMAND`: a one-off task; its output is streamed, and its exit code is this command's. */
export function addRunCommand(program: Command): void {
  const collect = (value: string, previous: string[]) => [...previous, value];
  withConnection(
    program
      .command('run')
      .description('run a one-off task, stream its output, end with its exit code')
      .argument('<command...>', 'the command, after --')
      .usage('[options] -- <command...>')
      .passThroughOptions(),
  )
    .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
    .option('--name <name>', 'name of the task (default: run- and five random letters)')
    .option('--image <reference>', "image to run in (default: none, the host's files read-only)")
    .option('-i, --stdin', 'pass standard input to the command')
    .option('-t, --tty', 'give the command a terminal')
    .option('--detach-keys <keys>', 'with -it: keys that detach; "" for none', DEFAULT_DETACH_KEYS)
    .option('--cpus <quantity>', 'CPU share, in cores: 2, 0.5 or 500m', '100m')
    .option('--mem <quantity>', 'memory, in bytes', '128Mi')
    .option('--cpu-limit <quantity>', 'hard CPU limit, in cores (default: none)')
    .option('--mem-limit <quantity>', 'hard memory limit, in bytes (default: --mem)')
    .option('-u, --user <user>', "user to run as (default: the agent's, nobody)")
    .option('-e, --env <name=value>', 'environment variable; may be repeated', collect, [])
    .option('--agent <name>', 'run on this agent')
    .option('-l, --selector <key=value>', 'run on an agent with this label; may be repeated', collect, [])
    .option('--shell', 'join the words and run them with /bin/sh -c')
    .option('--rm', 'delete the Task document when it has ended: what happens anyway without --keep')
    .option('--keep', 'keep the Task document (and its sandbox) afterwards')
    .option('-d, --detach', 'print the name of the task and return at once')
    .addHelpText(
      'after',
      '\nThe exit code is that of the command, or 128 + N when signal N ended it, or 125 when it was never started.\nCtrl-C kills the task; with -it it goes to the command, and the detach keys leave the task running.',
    )
    .action(run);
}

async function run(argv: string[], options: RunOptions): Promise<void> {
  if (options.tty && !(process.stdin.isTTY && process.stdout.isTTY))
    throw new CliError('-t: standard input and output are not a terminal', EXIT_CODES.usage.code);
  if (options.rm && options.keep) throw new CliError('--rm and --keep exclude each other', EXIT_CODES.usage.code);
  const detachKeys = parseDetachKeys(options.detachKeys);
  const [stdin, tty] = [options.stdin === true, options.tty === true];
  const client = await connect(options);
  const name = options.name ?? `run-${randomBytes(5).toString('hex').slice(0, 5)}`;
  const key = { namespace: options.namespace, name };
  await client.create(Task, taskOf(name, argv, options));
  if (options.detach) {
    process.stdout.write(`${name}\n`);
    return;
  }
  const kill = () => client.mergePatch(Task, key, { spec: { desiredState: 'Killed' } }).catch(() => {});
  void endRequested().then(kill);
  whenReaderGoes(() => void kill());
  let isDetached = false;
  try {
    const code = await followRun(client, key, { stdin, tty, detachKeys, token: await tokenOf(options) });
    isDetached = code === 'detached';
    if (isDetached) process.stderr.write(`tepui: detached; \`tepui attach ${name}\` comes back to it\n`);
    process.exitCode = code === 'detached' ? EXIT_CODES.ok.code : code;
  } finally {
    if (!options.keep && !isDetached) await client.delete(Task, key);
  }
}
