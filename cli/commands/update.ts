import type { Command } from 'commander';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { Task } from '../../controllers/machinery/client/resources.ts';
import { isTerminal } from '../../crds/task-states.ts';
import { type ConnectionOptions, connect, withConnection } from '../connection.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { streamsOf } from '../session/attach.ts';
import { getTask } from '../task-of.ts';
import { watchTask } from '../watch-task.ts';

interface UpdateOptions extends ConnectionOptions {
  namespace: string;
  container?: string;
  cpus?: string;
  mem?: string;
  cpuLimit?: string;
  memLimit?: string;
  wait: boolean;
}

/** `tepui update TASK --cpus N --mem N`: new limits for a running task, without a restart. */
export function addUpdateCommand(program: Command): void {
  withConnection(
    program
      .command('update')
      .description('change CPU and memory of a running task without a restart')
      .argument('<task>', 'name of the task'),
  )
    .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
    .option('-c, --container <name>', 'container of the task (default: its first)')
    .option('--cpus <quantity>', 'CPU share, in cores: 2, 0.5 or 500m')
    .option('--mem <quantity>', 'memory, in bytes: 128Mi')
    .option('--cpu-limit <quantity>', 'hard CPU limit, in cores; Infinity for none')
    .option('--mem-limit <quantity>', 'hard memory limit, in bytes; Infinity for none')
    .option('--no-wait', 'return as soon as it is written down')
    .addHelpText('after', '\nA task of a Framework gets its resources from there: change its template instead.')
    .action(async (name: string, options: UpdateOptions) => {
      const requests = given({ cpus: options.cpus, mem: options.mem });
      const limits = given({ cpus: options.cpuLimit, mem: options.memLimit });
      if (!requests && !limits)
        throw new CliError('name what to change: --cpus, --mem, --cpu-limit or --mem-limit', EXIT_CODES.usage.code);
      const client = await connect(options);
      const task = await getTask(client, options.namespace, name);
      if (task.spec.frameworkName !== undefined)
        throw new CliError(
          `task "${name}" belongs to framework "${task.spec.frameworkName}": change the template there`,
        );
      const { name: container } = streamsOf(task, options.container);
      const index = (task.spec.containers ?? []).findIndex((each) => each.name === container);
      const present = task.spec.containers?.[index]?.resources ?? {};
      const resources = {
        ...present,
        ...(requests && { requests: { ...present.requests, ...requests } }),
        ...(limits && { limits: { ...present.limits, ...limits } }),
      };
      const updated = await client.jsonPatch(Task, { namespace: options.namespace, name }, [
        { op: 'test', path: `/spec/containers/${index}/name`, value: container },
        { op: 'add', path: `/spec/containers/${index}/resources`, value: resources },
      ]);
      if (options.wait) await untilApplied(client, updated);
    });
}

async function untilApplied(client: ApiClient, updated: Task): Promise<void> {
  const { name = '', namespace = '', generation = 0 } = updated.metadata ?? {};
  for await (const task of watchTask(client, { namespace, name })) {
    const state = task.status?.state ?? 'Staging';
    if (isTerminal(state)) throw new CliError(`task "${name}" has ended (${state})`, EXIT_CODES.taskNotRun.code);
    // One that was not launched yet is launched with what is written down now.
    if (!task.spec.binding) return void process.stdout.write(`task ${name} is not placed yet\n`);
    const applied = task.status?.conditions?.find(({ type }) => type === 'SpecApplied') as
      | { status: string; message?: string; observedGeneration?: number }
      | undefined;
    if (applied === undefined || (applied.observedGeneration ?? 0) < generation) continue;
    if (applied.status === 'True') return void process.stdout.write(`task ${name} updated\n`);
    throw new CliError(`task "${name}" was not updated: ${applied.message ?? ''}`);
  }
  throw new CliError(`task "${name}" was deleted`, EXIT_CODES.notFound.code);
}

function given(values: { cpus?: string | undefined; mem?: string | undefined }): Record<string, string> | undefined {
  const entries = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}
