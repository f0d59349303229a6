import type { ApiClient } from '../controllers/machinery/client/client.ts';
import { Task } from '../controllers/machinery/client/resources.ts';
import { CliError, EXIT_CODES } from './exit-codes.ts';

/** The task of that name, or an error that says where it was looked for. */
export async function getTask(client: ApiClient, namespace: string, name: string): Promise<Task> {
  const task = await client.get(Task, { namespace, name });
  if (task) return task;
  const others = (await client.list(Task, { namespace })).items.map((other) => other.metadata?.name).slice(0, 5);
  const hint = others.length > 0 ? `; there are ${others.join(', ')}` : '';
  throw new CliError(`no task "${name}" in namespace "${namespace}"${hint}`, EXIT_CODES.notFound.code);
}

/** The task and the agent that runs it. Rejects with a CliError when it does not run. */
export async function runningTask(
  client: ApiClient,
  namespace: string,
  name: string,
): Promise<{ task: Task; agent: string }> {
  const task = await getTask(client, namespace, name);
  const agent = task.spec.binding?.agentName;
  const state = task.status?.state ?? 'Staging';
  if (agent && (state === 'Running' || state === 'Starting' || state === 'Killing')) return { task, agent };
  throw new CliError(`task "${name}" is not running (${state})`, EXIT_CODES.taskNotRun.code);
}

/** The task and the agent that has its files: it need not run any more. */
export async function placedTask(
  client: ApiClient,
  namespace: string,
  name: string,
): Promise<{ task: Task; agent: string }> {
  const task = await getTask(client, namespace, name);
  const agent = task.spec.binding?.agentName;
  if (agent) return { task, agent };
  throw new CliError(`task "${name}" has not been placed on an agent: see \`tepui why ${name}\``);
}
