import type { ApiClient } from '../controllers/machinery/client/client.ts';
import { Task } from '../controllers/machinery/client/resources.ts';

/** Yields a task as it is and each time it changes; ends when it is deleted. Survives watches that time out. */
export async function* watchTask(client: ApiClient, key: { namespace: string; name: string }): AsyncGenerator<Task> {
  const abort = new AbortController();
  try {
    for (;;) {
      const fieldSelector = `metadata.name=${key.name}`;
      const list = await client.list(Task, { namespace: key.namespace, fieldSelector });
      const task = list.items[0];
      if (!task) return;
      yield task;
      const watch = client.watch(Task, {
        namespace: key.namespace,
        fieldSelector,
        resourceVersion: list.metadata.resourceVersion,
        timeoutSeconds: 300,
        signal: abort.signal,
      });
      for await (const event of watch) {
        if (event.type === 'DELETED') return;
        if (event.type === 'ERROR') break;
        if (event.type !== 'BOOKMARK') yield event.object;
      }
    }
  } finally {
    abort.abort();
  }
}
