import type { ApiClient, ApiObject } from '../client/client.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { EventSeries, type Occurrence } from './series.ts';
import { createEventSink } from './sink.ts';

export interface EventRecorderOptions {
  client: ApiClient;
  clock?: Clock;
  logger: Logger;
  /** reportingController, for example `tepui.dev/scheduler`. */
  component: string;
  /** reportingInstance. Default: the host's name. */
  instance?: string;
  /** Events per object at once, and one more each `refillMs`. Default: 25 and 300000 (client-go's). */
  burst?: number;
  refillMs?: number;
}

export interface EventDetails {
  type?: 'Normal' | 'Warning';
  /** CamelCase, specific to one situation: what `kubectl get events` shows first. */
  reason: string;
  /** One sentence for people; may be long, is cut at 1024 characters. */
  message: string;
  /** What was done or tried, CamelCase. Default: the reason. */
  action?: string;
  related?: ApiObject;
}

export interface EventRecorder {
  /** Returns at once and never fails: events are written in the background, in order, and dropped where the server does not take them. */
  record(object: ApiObject, event: EventDetails): void;
  /** Resolves when everything recorded so far is written or dropped. */
  flush(): Promise<void>;
}

/** Repeats of one event become one document with a count; an object that causes a storm of different ones is limited. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const clock = options.clock ?? systemClock;
  const series = new EventSeries(clock, { burst: options.burst ?? 25, refillMs: options.refillMs ?? 300_000 });
  const sink = createEventSink({ ...options, clock });
  const waiting: Occurrence[] = [];
  let writing: Promise<void> | undefined;

  const writeAll = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await sink(next);
    writing = undefined;
  };

  return {
    record(object, event) {
      const occurrence = series.observe(object, { ...event, message: event.message.slice(0, 1024) });
      if (!occurrence) return;
      // Only the latest count of a series is worth writing.
      const queued = waiting.findIndex((other) => other.id === occurrence.id);
      if (queued >= 0 && waiting[queued]!.isRepeat === occurrence.isRepeat) waiting[queued] = occurrence;
      else if (waiting.length < MAX_WAITING) waiting.push(occurrence);
      writing ??= Promise.resolve().then(writeAll);
    },
    async flush() {
      await writing;
    },
  };
}

/** With a server that is away, older events are worth more than newer repeats of the same trouble. */
const MAX_WAITING = 1000;
