/** Where the output of tasks is to be had. */
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { Task } from '../../controllers/machinery/client/resources.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { placedTask } from '../task-of.ts';

export interface Source {
  agent: string;
  task: string;
  /** undefined: the first one. */
  container: string | undefined;
}

export interface Containers {
  container?: string;
  allContainers?: boolean;
}

/** Each is a connection that stays open while it is followed. */
export const MOST_SOURCES = 100;

/** NAME of `framework/NAME`. */
export function frameworkOf(name: string): string | undefined {
  return /^(?:framework|fw)\/(.+)$/.exec(name)?.[1];
}

/** Of one task. Rejects with a CliError when no agent has it. */
export async function taskSources(
  client: ApiClient,
  namespace: string,
  name: string,
  containers: Containers,
): Promise<Source[]> {
  const { task } = await placedTask(client, namespace, name);
  return sourcesOf(task, containers);
}

/** Of the tasks that a framework has now. Rejects with a CliError when there are none, or too many. */
export async function frameworkSources(
  client: ApiClient,
  namespace: string,
  framework: string,
  containers: Containers,
): Promise<Source[]> {
  const { items } = await client.list(Task, { namespace, fieldSelector: tasksOf(framework) });
  const sources = items.flatMap((task) => sourcesOf(task, containers));
  if (sources.length === 0)
    throw new CliError(
      `framework "${framework}" has no tasks on agents in namespace "${namespace}"`,
      EXIT_CODES.notFound.code,
    );
  if (sources.length > MOST_SOURCES)
    throw new CliError(`framework "${framework}" has ${sources.length} logs, more than ${MOST_SOURCES}: name a task`);
  return sources;
}

/** The field selector of a framework's tasks. */
export function tasksOf(framework: string): string {
  return `spec.frameworkName=${framework}`;
}

/** None before the task is on an agent. */
export function sourcesOf({ metadata, spec }: Task, { container, allContainers }: Containers): Source[] {
  if (spec.binding === undefined) return [];
  const names = allContainers
    ? [...(spec.initContainers ?? []), ...(spec.containers ?? [])].map((each) => each.name)
    : [container];
  const { agentName: agent } = spec.binding;
  return names.map((name) => ({ agent, task: metadata?.name ?? '', container: name }));
}
