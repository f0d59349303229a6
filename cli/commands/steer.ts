import type { Command } from 'commander';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { Task } from '../../controllers/machinery/client/resources.ts';
import { isTerminal } from '../../crds/task-states.ts';
import { type ConnectionOptions, connect, withConnection } from '../connection.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { parseInteger } from '../numbers.ts';
import { getTask } from '../task-of.ts';
import { watchTask } from '../watch-task.ts';

interface SteerOptions extends ConnectionOptions {
  namespace: string;
  wait: boolean;
  gracePeriod?: number;
}

/** `tepui freeze|resume|kill TASK...`: each sets spec.desiredState, and waits until it is so. */
export function addSteerCommands(program: Command): void {
  add(program, 'freeze', 'stop every process of a task where it is', 'Frozen', (task) => {
    const frozen = conditionOf(task, 'Frozen');
    if (frozen?.reason === 'NotSupported') throw new CliError(frozen.message ?? 'it cannot be frozen');
    return frozen?.status === 'True' || (task.status?.state ?? 'Staging') === 'Staging' ? 'frozen' : undefined;
  });
  add(program, 'resume', 'let the processes of a frozen task go on', 'Running', (task) =>
    conditionOf(task, 'Frozen')?.status === 'True' ? undefined : 'resumed',
  );
  add(program, 'kill', 'end a task by its kill policy', 'Killed', (task) =>
    isTerminal(task.status?.state) ? `is ${task.status?.state}` : undefined,
  ).option(
    '--grace-period <seconds>',
    'time between the stop signal and SIGKILL (default: that of its kill policy); of a task that is being ended it can be shortened',
    parseInteger(0),
  );
}

/** What a task has come to, in a word; undefined while it has not yet. */
type Outcome = (task: Task) => string | undefined;

function add(
  program: Command,
  name: string,
  description: string,
  desiredState: 'Frozen' | 'Running' | 'Killed',
  outcome: Outcome,
): Command {
  return withConnection(program.command(name).description(description).argument('<tasks...>', 'names of tasks'))
    .option('-n, --namespace <namespace>', 'namespace of the tasks', 'default')
    .option('--no-wait', 'return as soon as it is written down')
    .action(async (names: string[], options: SteerOptions) => {
      const client = await connect(options);
      await Promise.all(names.map((task) => steer(client, task, desiredState, outcome, options)));
    });
}

async function steer(
  client: ApiClient,
  name: string,
  desiredState: 'Frozen' | 'Running' | 'Killed',
  outcome: Outcome,
  options: SteerOptions,
): Promise<void> {
  const key = { namespace: options.namespace, name };
  const before = await getTask(client, options.namespace, name);
  const state = before.status?.state ?? '';
  if (isTerminal(state)) {
    if (desiredState === 'Killed') return void process.stdout.write(`task ${name} is ${state}\n`);
    throw new CliError(`task "${name}" has ended (${state})`, EXIT_CODES.taskNotRun.code);
  }
  const { gracePeriod: gracePeriodSeconds } = options;
  const patched = await client.mergePatch(Task, key, {
    spec: { desiredState, ...(gracePeriodSeconds !== undefined && { killPolicy: { gracePeriodSeconds } }) },
  });
  if (!options.wait) return;
  for await (const task of watchTask(client, key)) {
    const word = hasSeen(task, patched) ? outcome(task) : undefined;
    if (word !== undefined) return void process.stdout.write(`task ${name} ${word}\n`);
    if (isTerminal(task.status?.state))
      throw new CliError(`task "${name}" has ended (${task.status?.state})`, EXIT_CODES.taskNotRun.code);
  }
  if (desiredState !== 'Killed') throw new CliError(`task "${name}" was deleted`, EXIT_CODES.notFound.code);
  process.stdout.write(`task ${name} is gone\n`);
}

/** Whether the agent speaks of the document as it is now. */
function hasSeen({ status }: Task, patched: Task): boolean {
  const conditions = status?.conditions ?? [];
  const generation = patched.metadata?.generation ?? 0;
  return (
    conditions.length === 0 ||
    conditions.some(
      (condition) => ((condition as { observedGeneration?: number }).observedGeneration ?? 0) >= generation,
    ) ||
    isTerminal(status?.state)
  );
}

function conditionOf(task: Task, type: string) {
  return task.status?.conditions?.find((condition) => condition.type === type);
}
