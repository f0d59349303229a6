import type { ApiClient } from '../controllers/machinery/client/client.ts';
import { Task } from '../controllers/machinery/client/resources.ts';
import { watchObjects } from './watch-objects.ts';

/** Yields a task as it is and each time it changes; ends when it is deleted. Survives watches that time out. */
export async function* watchTask(client: ApiClient, key: { namespace: string; name: string }): AsyncGenerator<Task> {
  const selection = { namespace: key.namespace, fieldSelector: `metadata.name=${key.name}` };
  for await (const seen of watchObjects(client, Task, selection)) {
    if (seen.type === 'Deleted') return;
    const task = seen.type === 'Listed' ? seen.items[0] : seen.object;
    if (!task) return;
    yield task;
  }
}
