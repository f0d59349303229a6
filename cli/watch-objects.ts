import type { ApiClient, ApiObject, Resource } from '../controllers/machinery/client/client.ts';

export type Seen<T> = { type: 'Listed'; items: T[] } | { type: 'Changed'; object: T } | { type: 'Deleted'; object: T };

/** What there is, and each change of it, for ever. Survives watches that time out: then what there is comes anew. */
export async function* watchObjects<T extends ApiObject>(
  client: ApiClient,
  resource: Resource<T>,
  selection: { namespace: string; fieldSelector: string },
  signal?: AbortSignal,
): AsyncGenerator<Seen<T>> {
  const abort = new AbortController();
  const stop = signal ? AbortSignal.any([signal, abort.signal]) : abort.signal;
  try {
    while (!stop.aborted) {
      const list = await client.list(resource, selection);
      yield { type: 'Listed', items: list.items };
      const watch = client.watch(resource, {
        ...selection,
        resourceVersion: list.metadata.resourceVersion,
        timeoutSeconds: 300,
        signal: stop,
      });
      for await (const event of watch) {
        if (event.type === 'ERROR') break;
        if (event.type === 'BOOKMARK') continue;
        yield { type: event.type === 'DELETED' ? 'Deleted' : 'Changed', object: event.object };
      }
    }
  } finally {
    abort.abort();
  }
}
