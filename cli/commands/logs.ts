import type { Command } from 'commander';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { describeError } from '../describe-error.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { frameworkTasks } from '../logs/framework-tasks.ts';
import { printLog } from '../logs/print.ts';
import { frameworkOf, frameworkSources, MOST_SOURCES, type Source, sourcesOf, taskSources } from '../logs/sources.ts';
import { parseAgo, parseInteger } from '../numbers.ts';
import type { LogRequest } from '../stream-logs.ts';

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

/** `tepui logs [-f] TASK`, or `framework/NAME`: what tasks wrote: both streams, or one of them. */
export function addLogsCommand(program: Command): void {
  withConnection(
    program
      .command('logs')
      .description("print a task's output")
      .argument('<task>', 'name of the task, or framework/NAME for the tasks that a framework has'),
  )
    .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
    .option('-c, --container <name>', 'container of the task (default: its first)')
    .option('--all-containers', 'of all containers of the task')
    .option(
      '-f, --follow',
      'go on until the task ends; of a framework also with tasks that come later, until it is over or deleted',
    )
    .option('-p, --previous', 'of the run before the last restart in place')
    .option('--tail <lines>', 'only the last lines of each stream', parseInteger(0))
    .option('--since <time>', 'only what was written since: 10m, 1h30m, or a point in time', parseAgo)
    .option('--stdout', 'only standard output')
    .option('--stderr', 'only standard error')
    .option('--prefix', 'begin each line with task and container (what several of them get anyway)')
    .action(async (name: string, options: LogsOptions) => {
      const client = await connect(options);
      const printed = printer(client, options, await tokenOf(options));
      const framework = frameworkOf(name);
      if (framework !== undefined && options.follow && !options.previous)
        return followFramework(client, framework, options, printed);
      const sources =
        framework === undefined
          ? await taskSources(client, options.namespace, name, options)
          : await frameworkSources(client, options.namespace, framework, options);
      const isPrefixed = options.prefix === true || sources.length > 1;
      if (sources.length === 1) return printed(sources[0]!, isPrefixed);
      await Promise.all(sources.map((source) => printed(source, isPrefixed).catch(tellOf(source))));
    });
}

type Print = (source: Source, isPrefixed: boolean, isWhole?: boolean) => Promise<void>;

function printer(client: ApiClient, options: LogsOptions, token: string | undefined): Print {
  const both = options.stdout === options.stderr;
  const files: LogRequest['file'][] = [
    ...(both || options.stdout ? (['stdout'] as const) : []),
    ...(both || options.stderr ? (['stderr'] as const) : []),
  ];
  return async ({ agent, task, container }, isPrefixed, isWhole = false) => {
    const endpoint = () => agentEndpoint(client, agent, token);
    const request: Omit<LogRequest, 'file'> = {
      namespace: options.namespace,
      task,
      follow: options.follow === true,
      ...(container !== undefined && { container }),
      ...(options.tail !== undefined && !isWhole && { tail: options.tail }),
      ...(options.since !== undefined && { sinceSeconds: options.since }),
      ...(options.previous && { previous: true }),
    };
    await printLog(endpoint, request, files, isPrefixed);
  };
}

/** What comes while too many are open already is named and left out. */
async function followFramework(
  client: ApiClient,
  framework: string,
  options: LogsOptions,
  print: Print,
): Promise<void> {
  const open = new Set<Promise<void>>();
  for await (const { task, isLater } of frameworkTasks(client, options.namespace, framework)) {
    for (const source of sourcesOf(task, options)) {
      if (open.size >= MOST_SOURCES) {
        tellOf(source)(new Error(`left out: ${MOST_SOURCES} logs are followed already`));
        continue;
      }
      const printing = print(source, true, isLater)
        .catch(tellOf(source))
        .finally(() => open.delete(printing));
      open.add(printing);
    }
  }
  await Promise.all(open);
}

/** Of several logs one that cannot be read is told of, and the others go on. */
function tellOf({ task }: Source): (error: unknown) => void {
  return (error) => {
    process.stderr.write(`tepui: ${task}: ${describeError(error)}\n`);
    process.exitCode = EXIT_CODES.failed.code;
  };
}
