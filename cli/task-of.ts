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
