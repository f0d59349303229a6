import { finished } from 'node:stream/promises';
import type { Command } from 'commander';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { Task } from '../../controllers/machinery/client/resources.ts';
import { agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { describeError } from '../describe-error.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { parseAgo, parseInteger } from '../numbers.ts';
import { prefixLines } from '../prefix-lines.ts';
import { type LogRequest, streamLogs } from '../stream-logs.ts';
import { placedTask } from '../task-of.ts';

interface LogsOptions extends ConnectionOptions {
  namespace: string;
  container?: string;
  allContainers?: boolean;
  follow?: boolean;
  previous?: boolean;
  stderr?: boolean;
  stdout?: boolean;
  tail?: number;
  since?: number;
  prefix?: boolean;
}

/** Each is a connection that stays open while it is followed. */
const MOST_SOURCES = 100;

/** `tepui logs [-f] TASK`, or `framework/NAME`: what tasks wrote: both streams, or one of them. */
export function addLogsCommand(program: Command): void {
  withConnection(
    program
      .command('logs')
      .description("print a task's output")
      .argument('<task>', 'name of the task, or framework/NAME for the tasks that a framework has now'),
  )
    .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
    .option('-c, --container <name>', 'container of the task (default: its first)')
    .option('--all-containers', 'of all containers of the task')
    .option('-f, --follow', 'go on until the task ends')
    .option('-p, --previous', 'of the run before the last restart in place')
    .option('--tail <lines>', 'only the last lines of each stream', parseInteger(0))
    .option('--since <time>', 'only what was written since: 10m, 1h30m, or a point in time', parseAgo)
    .option('--stdout', 'only standard output')
    .option('--stderr', 'only standard error')
    .option('--prefix', 'begin each line with task and container (what several of them get anyway)')
    .action(async (name: string, options: LogsOptions) => {
      const client = await connect(options);
      const sources = await sourcesOf(client, name, options);
      const token = await tokenOf(options);
      const isPrefixed = options.prefix === true || sources.length > 1;
      const both = options.stdout === options.stderr;
      const files = [
        ...(both || options.stdout ? (['stdout'] as const) : []),
        ...(both || options.stderr ? (['stderr'] as const) : []),
      ];
      await Promise.all(
        sources.map(async ({ agent, task, container }) => {
          const endpoint = await agentEndpoint(client, agent, token);
          const request: Omit<LogRequest, 'file'> = {
            namespace: options.namespace,
            task,
            follow: options.follow === true,
            ...(container !== undefined && { container }),
            ...(options.tail !== undefined && { tail: options.tail }),
            ...(options.since !== undefined && { sinceSeconds: options.since }),
            ...(options.previous && { previous: true }),
          };
          const prefix = `[${[task, container].filter(Boolean).join(' ')}] `;
          await Promise.all(
            files.map(async (file) => {
              const out = file === 'stdout' ? process.stdout : process.stderr;
              if (!isPrefixed) return streamLogs(endpoint, { ...request, file }, out);
              const lines = prefixLines(prefix);
              lines.pipe(out, { end: false });
              await streamLogs(endpoint, { ...request, file }, lines);
              lines.end();
              await finished(lines);
            }),
          ).catch((error: unknown) => {
            if (sources.length === 1) throw error;
            process.stderr.write(`tepui: ${task}: ${describeError(error)}\n`);
            process.exitCode = EXIT_CODES.failed.code;
          });
        }),
      );
    });
}

interface Source {
  agent: string;
  task: string;
  container: string | undefined;
}

async function sourcesOf(client: ApiClient, name: string, options: LogsOptions): Promise<Source[]> {
  const framework = /^(?:framework|fw)\/(.+)$/.exec(name)?.[1];
  if (framework === undefined) {
    const { task, agent } = await placedTask(client, options.namespace, name);
    return containersOf(task, options).map((container) => ({ agent, task: name, container }));
  }
  const { items } = await client.list(Task, { namespace: options.namespace });
  const tasks = items.filter(({ spec }) => spec.frameworkName === framework && spec.binding !== undefined);
  if (tasks.length === 0)
    throw new CliError(
      `framework "${framework}" has no tasks on agents in namespace "${options.namespace}"`,
      EXIT_CODES.notFound.code,
    );
  const sources = tasks.flatMap((task) =>
    containersOf(task, options).map((container) => ({
      agent: task.spec.binding!.agentName,
      task: task.metadata?.name ?? '',
      container,
    })),
  );
  if (sources.length > MOST_SOURCES)
    throw new CliError(`framework "${framework}" has ${sources.length} logs, more than ${MOST_SOURCES}: name a task`);
  return sources;
}

/** undefined: the first one. */
function containersOf({ spec }: Task, { container, allContainers }: LogsOptions): (string | undefined)[] {
  if (!allContainers) return [container];
  return [...(spec.initContainers ?? []), ...(spec.containers ?? [])].map((each) => each.name);
}
