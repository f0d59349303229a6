import type { ApiClient, ApiObject, Resource, WatchEvent } from '../client/client.ts';
import { ApiStatusError, isExpired } from '../client/errors.ts';
import type { Clock } from '../clock.ts';
import {
  initialState,
  nextStep,
  transition,
  type WatcherEvent,
  type WatcherInput,
  type WatcherState,
} from './state.ts';

export interface WatcherOptions<T extends ApiObject> {
  client: ApiClient;
  resource: Resource<T>;
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  clock: Clock;
  onEvent: (event: WatcherEvent<T>) => void;
  /** Every failure is retried; this is for logs and metrics. */
  onError?: (error: unknown, during: 'list' | 'watch') => void;
  /** Objects per page. Default: 500. */
  pageSize?: number;
  /** After this the server ends a watch by itself. Default: 290, less up to a tenth so that watches do not end together. */
  serverTimeoutSeconds?: number;
  /** How much later than that the client gives up a silent socket. Default: 5000. */
  idleMarginMs?: number;
  random?: () => number;
}

/** Lists and watches until the signal is aborted. Never rejects: errors lead to another try. */
export async function runWatcher<T extends ApiObject>(options: WatcherOptions<T>, signal: AbortSignal): Promise<void> {
  const random = options.random ?? Math.random;
  let state: WatcherState = initialState;
  const feed = (input: WatcherInput<T>) => {
    const result = transition<T>(state, input);
    state = result.state;
    for (const event of result.events) options.onEvent(event);
  };

  while (!signal.aborted) {
    const step = nextStep(state, random());
    if (step.kind !== 'read' && step.delayMs > 0) await options.clock.sleep(step.delayMs, signal);
    if (signal.aborted) return;
    if (step.kind === 'list') {
      const input = await readPage(options, step.continueToken, step.unpaged);
      if (!signal.aborted) feed(input);
    } else if (step.kind === 'watch') {
      feed({ kind: 'watchStarted' });
      await readWatch(options, step.resourceVersion, random(), signal, feed, () => state.kind === 'watching');
    }
  }
}

async function readPage<T extends ApiObject>(
  options: WatcherOptions<T>,
  continueToken: string | undefined,
  unpaged: boolean,
): Promise<WatcherInput<T>> {
  try {
    const page = await options.client.list(options.resource, {
      ...selection(options),
      limit: unpaged ? undefined : (options.pageSize ?? 500),
      continue: continueToken,
    });
    const { resourceVersion, continue: next } = page.metadata;
    return { kind: 'page', items: page.items, resourceVersion, continueToken: next };
  } catch (error) {
    options.onError?.(error, 'list');
    return { kind: 'listFailed', expired: isExpired(error) };
  }
}

async function readWatch<T extends ApiObject>(
  options: WatcherOptions<T>,
  resourceVersion: string,
  random: number,
  signal: AbortSignal,
  feed: (input: WatcherInput<T>) => void,
  isWatching: () => boolean,
): Promise<void> {
  const timeoutSeconds = Math.ceil((options.serverTimeoutSeconds ?? 290) * (1 - random / 10));
  const connection = new AbortController();
  const end = () => connection.abort();
  signal.addEventListener('abort', end, { once: true });
  const start = options.clock.monotonic();
  const livedMs = () => options.clock.monotonic() - start;
  let isIdle = false;
  const cancelDeadline = options.clock.schedule(timeoutSeconds * 1000 + (options.idleMarginMs ?? 5_000), () => {
    isIdle = true;
    end();
  });
  try {
    const events = options.client.watch(options.resource, {
      ...selection(options),
      resourceVersion,
      timeoutSeconds,
      signal: connection.signal,
    });
    for await (const event of events) {
      const input = read(event, livedMs());
      if (input.kind === 'watchFailed') options.onError?.(errorOf(event), 'watch');
      feed(input);
      // The transition left the watch: what else the server sends on this connection is no longer of interest.
      if (!isWatching()) return;
    }
    if (signal.aborted) return;
    feed(isIdle ? { kind: 'idleDeadline' } : { kind: 'watchEnded', livedMs: livedMs() });
  } catch (error) {
    if (signal.aborted) return;
    options.onError?.(error, 'watch');
    feed({ kind: 'watchFailed', expired: isExpired(error), livedMs: livedMs() });
  } finally {
    cancelDeadline();
    signal.removeEventListener('abort', end);
    end();
  }
}

function selection<T extends ApiObject>(options: WatcherOptions<T>) {
  const { namespace, labelSelector, fieldSelector } = options;
  return { namespace, labelSelector, fieldSelector };
}

function read<T extends ApiObject>(event: WatchEvent<T>, livedMs: number): WatcherInput<T> {
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { kind: 'object', type: event.type, object: event.object };
    case 'BOOKMARK':
      return { kind: 'bookmark', resourceVersion: event.object.metadata?.resourceVersion };
    case 'ERROR':
      return { kind: 'watchFailed', expired: isExpired(errorOf(event)), livedMs };
  }
}

function errorOf(event: WatchEvent<never> | WatchEvent<ApiObject>): ApiStatusError {
  const status = event.type === 'ERROR' ? event.object : {};
  return new ApiStatusError(status.code ?? 500, status, 'watch');
}
