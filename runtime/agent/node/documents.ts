/** The documents that concern this agent, followed by a watch. */
import type { ApiClient, ApiObject, Resource } from '../../../controllers/machinery/client/client.ts';
import { ApiStatusError } from '../../../controllers/machinery/client/errors.ts';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import { createInformer } from '../../../controllers/machinery/store/informer.ts';
import { pause } from './pause.ts';

export interface FollowOptions<T extends ApiObject> {
  client: ApiClient;
  resource: Resource<T>;
  /** Lets the server choose. Servers before selectable fields (Kubernetes 1.30) refuse it: then all are watched and `accepts` chooses. */
  fieldSelector: string;
  accepts(object: T): boolean;
  onChanged(object: T): void;
  onDeleted(object: T): void;
  logger: Logger;
}

export interface Following {
  /** Resolves when the first complete list was handed over; on close too. */
  synced: Promise<void>;
  close(): Promise<void>;
}

const PROBE_MIN_MS = 500;
const PROBE_MAX_MS = 15_000;

/** Follows until closed; failures are retried for ever. */
export function followDocuments<T extends ApiObject>(options: FollowOptions<T>): Following {
  const closing = new AbortController();
  const synced = Promise.withResolvers<void>();
  const running = run(options, closing.signal, synced.resolve).finally(synced.resolve);
  return {
    synced: synced.promise,
    async close() {
      closing.abort();
      await running;
    },
  };
}

async function run<T extends ApiObject>(
  options: FollowOptions<T>,
  signal: AbortSignal,
  onSynced: () => void,
): Promise<void> {
  const { client, resource, accepts, logger } = options;
  const fieldSelector = await chooseSelector(options, signal);
  if (signal.aborted) return;
  const informer = createInformer<T>({ client, resource, fieldSelector, logger });
  informer.onChange(({ old: before, new: after }) => {
    const wasOurs = before !== undefined && accepts(before);
    const isOurs = after !== undefined && accepts(after);
    // Deleted and made again under the same name between two looks: two objects, whatever the name says.
    const isOther = before?.metadata?.uid !== after?.metadata?.uid;
    if (wasOurs && (!isOurs || isOther)) options.onDeleted(before);
    if (isOurs) options.onChanged(after);
  });
  void informer.whenSynced(signal).then(onSynced, onSynced);
  await informer.start(signal);
}

async function chooseSelector<T extends ApiObject>(
  options: FollowOptions<T>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { client, resource, fieldSelector, logger } = options;
  for (let delay = PROBE_MIN_MS; !signal.aborted; delay = Math.min(delay * 2, PROBE_MAX_MS)) {
    try {
      await client.list(resource, { fieldSelector, limit: 1 });
      return fieldSelector;
    } catch (err) {
      if (err instanceof ApiStatusError && err.code === 400) {
        logger.info(
          { resource: resource.plural },
          'the API server cannot select by this field; all documents are watched',
        );
        return undefined;
      }
      logger.warn(
        { err, resource: resource.plural, requeueAfterMs: delay },
        'documents cannot be listed yet; it is retried',
      );
      await pause(delay, signal);
    }
  }
  return undefined;
}
