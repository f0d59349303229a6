import { hostname } from 'node:os';
import type { ApiClient, ApiObject } from '../client/client.ts';
import { ApiStatusError, isBeingTerminated } from '../client/errors.ts';
import {
  CoreEvent,
  type CoreEventDocument,
  Event,
  type EventDocument,
  type ObjectReference,
} from '../client/resources.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Occurrence } from './series.ts';

export interface EventSinkOptions {
  client: ApiClient;
  clock: Clock;
  logger: Logger;
  component: string;
  instance?: string;
}

type Dialect = 'events.k8s.io' | 'core' | 'none';

/** After the server said that it has no events at all, it is asked again after this time: its CRDs may come later. */
const ASK_AGAIN_MS = 60_000;

/** Writes one occurrence; never rejects. Speaks events.k8s.io/v1, or core/v1 to servers that lack it, or only logs where both are missing. */
export function createEventSink(options: EventSinkOptions): (occurrence: Occurrence) => Promise<void> {
  const { client, clock, logger, component, instance = hostname() } = options;
  let dialect: Dialect = 'events.k8s.io';
  let askAgainAt = 0;

  const write = async (occurrence: Occurrence): Promise<void> => {
    if (dialect === 'none') {
      if (clock.monotonic() < askAgainAt) return log(logger, occurrence);
      dialect = 'events.k8s.io';
    }
    try {
      if (dialect === 'events.k8s.io') await writeEvent(client, occurrence, component, instance);
      else await writeCoreEvent(client, occurrence, component, instance);
    } catch (error) {
      if (isUnknownResource(error)) {
        dialect = dialect === 'events.k8s.io' ? 'core' : 'none';
        askAgainAt = clock.monotonic() + ASK_AGAIN_MS;
        return write(occurrence);
      }
      // Expected when a namespace is deleted with everything in it.
      if (!isBeingTerminated(error)) logger.debug({ err: error, ...place(occurrence) }, 'Could not write an event');
    }
  };
  return write;
}

async function writeEvent(
  client: ApiClient,
  occurrence: Occurrence,
  component: string,
  instance: string,
): Promise<void> {
  const { object, event, name, firstTime, lastTime, count } = occurrence;
  const namespace = namespaceOf(object);
  const series = { count, lastObservedTime: lastTime };
  if (occurrence.isRepeat) {
    try {
      await client.mergePatch(Event, { namespace, name }, { series });
      return;
    } catch (error) {
      // Its time to live is over: the repeat starts a new document.
      if (!(error instanceof ApiStatusError) || error.code !== 404 || isUnknownResource(error)) throw error;
    }
  }
  await client.create<EventDocument>(Event, {
    metadata: { namespace, name },
    eventTime: firstTime,
    type: event.type ?? 'Normal',
    reason: event.reason,
    action: event.action ?? event.reason,
    note: event.message,
    regarding: reference(object),
    ...(event.related ? { related: reference(event.related) } : {}),
    reportingController: component,
    reportingInstance: instance,
    ...(count > 1 ? { series } : {}),
  });
}

async function writeCoreEvent(
  client: ApiClient,
  occurrence: Occurrence,
  component: string,
  instance: string,
): Promise<void> {
  const { object, event, name, firstTime, lastTime, count } = occurrence;
  const namespace = namespaceOf(object);
  const seconds = (time: string) => `${time.slice(0, 19)}Z`;
  if (occurrence.isRepeat) {
    try {
      await client.mergePatch(CoreEvent, { namespace, name }, { count, lastTimestamp: seconds(lastTime) });
      return;
    } catch (error) {
      if (!(error instanceof ApiStatusError) || error.code !== 404 || isUnknownResource(error)) throw error;
    }
  }
  await client.create<CoreEventDocument>(CoreEvent, {
    metadata: { namespace, name },
    involvedObject: reference(object),
    type: event.type ?? 'Normal',
    reason: event.reason,
    message: event.message,
    count,
    firstTimestamp: seconds(firstTime),
    lastTimestamp: seconds(lastTime),
    source: { component, host: instance },
    reportingComponent: component,
    reportingInstance: instance,
    action: event.action ?? event.reason,
  });
}

/** Events of cluster-scoped objects are kept in `default`, where kubectl describe looks for them. */
function namespaceOf(object: ApiObject): string {
  return object.metadata?.namespace || 'default';
}

function reference(object: ApiObject): ObjectReference {
  const { namespace, name, uid, resourceVersion } = object.metadata ?? {};
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    ...(namespace ? { namespace } : {}),
    name,
    uid,
    resourceVersion,
  };
}

/** A 404 for the resource itself: no Status document, or one that names no object. */
function isUnknownResource(error: unknown): boolean {
  return (
    error instanceof ApiStatusError &&
    error.code === 404 &&
    (error.status.kind !== 'Status' || !error.status.details?.name)
  );
}

function place(occurrence: Occurrence) {
  const { namespace, name } = occurrence.object.metadata ?? {};
  return { namespace, name, reason: occurrence.event.reason };
}

function log(logger: Logger, occurrence: Occurrence): void {
  logger.info(place(occurrence), 'Event (the server keeps none)');
}
