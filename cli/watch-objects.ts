import type { ApiClient, ApiObject, Resource } from '../controllers/machinery/client/client.ts';
import { isUnreachable, reconnecting } from './reconnect.ts';

export type Seen<T> = { type: 'Listed'; items: T[] } | { type: 'Changed'; object: T } | { type: 'Deleted'; object: T };

/**
 * What there is, and each change of it, for ever. Survives watches that time out, and an API server that is restarted: then what there is comes anew. Rejects
 * when there is none at first, or none for 30 seconds.
 */
export async function* watchObjects<T extends ApiObject>(
  client: ApiClient,
  resource: Resource<T>,
  selection: { namespace: string; fieldSelector: string },
  signal?: AbortSignal,
): AsyncGenerator<Seen<T>> {
  const abort = new AbortController();
  const stop = signal ? AbortSignal.any([signal, abort.signal]) : abort.signal;
  try {
    let isFirst = true;
    while (!stop.aborted) {
      const ask = () => client.list(resource, selection);
      const list = await (isFirst ? ask() : reconnecting(ask, (error) => !stop.aborted && isUnreachable(error)));
      isFirst = false;
      yield { type: 'Listed', items: list.items };
      const watch = client.watch(resource, {
        ...selection,
        resourceVersion: list.metadata.resourceVersion,
        timeoutSeconds: 300,
        signal: stop,
      });
      try {
        for await (const event of watch) {
          if (event.type === 'ERROR') break;
          if (event.type === 'BOOKMARK') continue;
          yield { type: event.type === 'DELETED' ? 'Deleted' : 'Changed', object: event.object };
        }
      } catch (error) {
        if (!isUnreachable(error)) throw error;
      }
    }
  } finally {
    abort.abort();
  }
}
