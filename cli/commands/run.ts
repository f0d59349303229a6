import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { Task } from '../../controllers/machinery/client/resources.ts';
import { agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { endRequested } from '../lifetime.ts';
import { streamLogs } from '../stream-logs.ts';
import { terminalStates } from '../terminal-states.ts';
import { watchTask } from '../watch-task.ts';

interface RunOptions extends ConnectionOptions {
  namespace: string;
  name?: string;
  cpus: string;
  mem: string;
  cpuLimit?: string;
  memLimit?: string;
  user?: string;
  env: string[];
  agent?: string;
  selector: string[];
  shell?: boolean;
  keep?: boolean;
  detach?: boolean;
}

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
    .option('--cpus <quantity>', 'CPU share, in cores', '100m')
    .option('--mem <quantity>', 'memory', '128Mi')
    .option('--cpu-limit <quantity>', 'hard CPU limit, in cores (default: none)')
    .option('--mem-limit <quantity>', 'hard memory limit (default: --mem)')
    .option('-u, --user <user>', "user to run as (default: the agent's, nobody)")
    .option('-e, --env <name=value>', 'environment variable; may be repeated', collect, [])
    .option('--agent <name>', 'run on this agent')
    .option('-l, --selector <key=value>', 'run on an agent with this label; may be repeated', collect, [])
    .option('--shell', 'join the words and run them with /bin/sh -c')
    .option('--keep', 'keep the Task document (and its sandbox) afterwards')
    .option('-d, --detach', 'print the name of the task and return at once')
    .addHelpText(
      'after',
      '\nThe exit code is that of the command, or 128 + N when signal N ended it, or 125 when it was never started.\nCtrl-C kills the task.',
    )
    .action(run);
}

async function run(argv: string[], options: RunOptions): Promise<void> {
  const client = await connect(options);
  const name = options.name ?? `run-${randomBytes(5).toString('hex').slice(0, 5)}`;
  const key = { namespace: options.namespace, name };
  await client.create(Task, taskOf(name, argv, options));
  if (options.detach) {
    process.stdout.write(`${name}\n`);
    return;
  }
  void endRequested().then(() => client.mergePatch(Task, key, { spec: { desiredState: 'Killed' } }).catch(() => {}));
  try {
    process.exitCode = await follow(client, key, options);
  } finally {
    if (!options.keep) await client.delete(Task, key);
  }
}

/** Streams the task's output once it runs, and resolves with the exit code to end with. */
async function follow(
  client: ApiClient,
  key: { namespace: string; name: string },
  options: RunOptions,
): Promise<number> {
  const token = await tokenOf(options);
  let streams: Promise<unknown> | undefined;
  let waited = '';
  for await (const task of watchTask(client, key)) {
    const status = task.status ?? {};
    const scheduled = status.conditions?.find((condition) => condition.type === 'Scheduled');
    if (scheduled?.status === 'False' && scheduled.message && scheduled.message !== waited) {
      waited = scheduled.message;
      process.stderr.write(`tepui: waiting: ${waited}\n`);
    }
    const ended = terminalStates.has(status.state ?? '');
    const agent = task.spec.binding?.agentName;
    if (!streams && agent && (status.state === 'Running' || (ended && status.containerId))) {
      const endpoint = await agentEndpoint(client, agent, token);
      const request = { namespace: key.namespace, task: key.name, follow: true };
      streams = Promise.all([
        streamLogs(endpoint, { ...request, file: 'stdout' }, process.stdout),
        streamLogs(endpoint, { ...request, file: 'stderr' }, process.stderr),
      ]).catch((error: Error) => process.stderr.write(`tepui: its output cannot be read: ${error.message}\n`));
    }
    if (!ended) continue;
    await streams;
    if (status.state === 'Finished') return 0;
    if (status.signal === undefined && status.exitCode === undefined)
      throw new CliError(
        `task ${key.name} ${status.state}: ${status.message ?? status.reason ?? ''}`,
        EXIT_CODES.taskNotRun.code,
      );
    if (status.reason && !['ExitCode', 'Signaled'].includes(status.reason))
      process.stderr.write(`tepui: ${status.reason}: ${status.message ?? ''}\n`);
    return status.signal !== undefined
      ? EXIT_CODES.signalBase.code + status.signal
      : (status.exitCode ?? EXIT_CODES.failed.code);
  }
  throw new CliError(`task ${key.name} was deleted while it ran`);
}

function taskOf(name: string, argv: string[], options: RunOptions): Task {
  const env = options.env.map((entry) => {
    const at = entry.indexOf('=');
    if (at < 1) throw new CliError(`--env: "${entry}" is not NAME=VALUE`, EXIT_CODES.usage.code);
    return { name: entry.slice(0, at), value: entry.slice(at + 1) };
  });
  const labels = options.selector.map((entry) => {
    const at = entry.indexOf('=');
    if (at < 1) throw new CliError(`--selector: "${entry}" is not key=value`, EXIT_CODES.usage.code);
    return [entry.slice(0, at), entry.slice(at + 1)] as const;
  });
  const limits = {
    ...(options.cpuLimit ? { cpus: options.cpuLimit } : {}),
    ...(options.memLimit ? { mem: options.memLimit } : {}),
  };
  const placement = {
    ...(options.agent ? { agentName: options.agent } : {}),
    ...(labels.length > 0 ? { agentSelector: { matchLabels: Object.fromEntries(labels) } } : {}),
  };
  return {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Task',
    metadata: { name, namespace: options.namespace, labels: { 'app.kubernetes.io/managed-by': 'tepui-run' } },
    spec: {
      ...(options.user ? { user: options.user } : {}),
      ...(Object.keys(placement).length > 0 ? { placement } : {}),
      containers: [
        {
          name: 'main',
          ...(options.shell ? { shell: argv.join(' ') } : { command: argv }),
          ...(env.length > 0 ? { env } : {}),
          resources: {
            requests: { cpus: options.cpus, mem: options.mem },
            ...(Object.keys(limits).length > 0 ? { limits } : {}),
          },
        },
      ],
    },
  };
}
