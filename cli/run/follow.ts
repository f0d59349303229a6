/** Following a one-off task: its output, or a session with it, from when it runs until it has ended. */
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { isTerminal } from '../../crds/task-states.ts';
import type { Task } from '../../crds/types.generated.ts';
import { type AgentEndpoint, agentEndpoint } from '../agent-endpoint.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { attach } from '../session/attach.ts';
import { streamLogs } from '../stream-logs.ts';
import { watchTask } from '../watch-task.ts';

export interface FollowOptions {
  stdin: boolean;
  tty: boolean;
  detachKeys: Buffer;
  /** For an agent on another machine. */
  token: string | undefined;
}

type Key = { namespace: string; name: string };

/** Resolves with the exit code to end with, or that the user has detached. Rejects with CliError. */
export async function followRun(client: ApiClient, key: Key, options: FollowOptions): Promise<number | 'detached'> {
  let output: Promise<'detached' | undefined> | undefined;
  let waited = '';
  for await (const task of watchTask(client, key)) {
    const status = task.status ?? {};
    const scheduled = status.conditions?.find((condition) => condition.type === 'Scheduled');
    if (scheduled?.status === 'False' && scheduled.message && scheduled.message !== waited) {
      waited = scheduled.message;
      process.stderr.write(`tepui: waiting: ${waited}\n`);
    }
    const ended = isTerminal(status.state);
    const agent = task.spec.binding?.agentName;
    if (!output && agent && (status.state === 'Running' || (ended && status.containerId))) {
      const endpoint = () => agentEndpoint(client, agent, options.token);
      output = ended ? copyLogs(endpoint, key) : joinStreams(endpoint, key, options);
      // While a terminal is attached nothing else is of interest.
      if (options.tty && (await output) === 'detached') return 'detached';
    }
    if (!ended) continue;
    await output;
    return exitCodeOf(key, status);
  }
  throw new CliError(`task ${key.name} was deleted while it ran`);
}

async function joinStreams(
  endpoint: () => Promise<AgentEndpoint>,
  key: Key,
  { stdin, tty, detachKeys }: FollowOptions,
): Promise<'detached' | undefined> {
  const session = { namespace: key.namespace, task: key.name, stdin, tty, closeStdin: true };
  if (tty) {
    try {
      const outcome = await attach(endpoint, { ...session, detachKeys });
      return outcome.kind === 'detached' ? 'detached' : undefined;
    } catch (error) {
      // It was too quick for us.
      if (!(error instanceof CliError) || error.exitCode !== EXIT_CODES.notFound.code) throw error;
      return copyLogs(endpoint, key);
    }
  }
  // Output comes from the log, which has also what was written before we came. The end of the command ends the input.
  if (stdin) attach(endpoint, { ...session, output: false }).catch(() => {});
  return copyLogs(endpoint, key);
}

async function copyLogs(endpoint: () => Promise<AgentEndpoint>, key: Key): Promise<undefined> {
  const request = { namespace: key.namespace, task: key.name, follow: true };
  try {
    await Promise.all([
      streamLogs(endpoint, { ...request, file: 'stdout' }, process.stdout),
      streamLogs(endpoint, { ...request, file: 'stderr' }, process.stderr),
    ]);
  } catch (error) {
    // Nobody reads it any more, and the task is being ended for that.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return;
    process.stderr.write(`tepui: its output cannot be read: ${(error as Error).message}\n`);
  }
}

function exitCodeOf(key: Key, status: NonNullable<Task['status']>): number {
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
