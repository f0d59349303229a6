/** One Secret or ConfigMap, followed by a watch of that object alone; by reading it again and again where the agent may not watch. */
import type { ApiClient, Resource } from '../../../controllers/machinery/client/client.ts';
import { ApiStatusError } from '../../../controllers/machinery/client/errors.ts';
import { ConfigMap, Secret } from '../../../controllers/machinery/client/resources.ts';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import { createInformer } from '../../../controllers/machinery/store/informer.ts';
import { pause } from '../node/pause.ts';
import type { ProjectedObject, Projection } from './projected-files.ts';

export interface FollowObjectOptions {
  client: ApiClient;
  object: Pick<Projection, 'kind' | 'namespace' | 'name'>;
  /** false: only polled. A watch is a connection. */
  watch: boolean;
  /** Between two readings where it is not watched. */
  pollIntervalMs: number;
  /** Each version that is seen, also one that is known already. A deleted object is not told: what volumes show of it stays. */
  onVersion(object: ProjectedObject): void;
  logger: Logger;
}

/** Follows until the signal is aborted; failures are retried for ever. Never rejects. */
export async function followObject(options: FollowObjectOptions, signal: AbortSignal): Promise<void> {
  if (options.watch) await watchObject(options, signal);
  while (!signal.aborted) {
    await pause(options.pollIntervalMs * (0.9 + Math.random() / 5), signal);
    if (signal.aborted) return;
    try {
      const { namespace, name } = options.object;
      const found = await options.client.get(resourceOf(options.object), { namespace, name });
      if (found !== undefined && !signal.aborted) options.onVersion(found);
    } catch (err) {
      options.logger.warn({ err, ...labels(options.object) }, 'an object of a volume could not be read; it is retried');
    }
  }
}

export function resourceOf({ kind }: Pick<Projection, 'kind'>): Resource<ProjectedObject> {
  return kind === 'Secret' ? Secret : ConfigMap;
}

/** Resolves when aborted, or when the agent turns out not to be allowed to watch. */
async function watchObject(
  { client, object, onVersion, logger }: FollowObjectOptions,
  signal: AbortSignal,
): Promise<void> {
  const forbidden = new AbortController();
  const informer = createInformer<ProjectedObject>({
    client,
    resource: resourceOf(object),
    namespace: object.namespace,
    fieldSelector: `metadata.name=${object.name}`,
    onError(error) {
      if (!(error instanceof ApiStatusError) || error.code !== 403) return;
      logger.info(labels(object), 'the agent may not watch an object of a volume; it is read from time to time');
      forbidden.abort();
    },
  });
  informer.onChange(({ new: version }) => version !== undefined && onVersion(version));
  await informer.start(AbortSignal.any([signal, forbidden.signal]));
}

function labels({ kind, namespace, name }: Pick<Projection, 'kind' | 'namespace' | 'name'>): Record<string, string> {
  return { kind, namespace, name };
}
