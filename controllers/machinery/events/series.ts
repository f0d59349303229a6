import { createHash } from 'node:crypto';
import type { ApiObject } from '../client/client.ts';
import { type Clock, microTimestamp } from '../clock.ts';
import { TokenBucket } from '../queue/rate-limit.ts';
import type { EventDetails } from './recorder.ts';

/** One event to be written: a new document, or a higher count of one that was written before. */
export interface Occurrence {
  /** The same for all repeats. */
  id: string;
  /** Name of the document. */
  name: string;
  object: ApiObject;
  event: EventDetails;
  firstTime: string;
  lastTime: string;
  count: number;
  isRepeat: boolean;
}

/** Repeats within this count as one series, as in the events API. */
const SERIES_MS = 6 * 60_000;
/** Documents of ended series and buckets of quiet objects are forgotten beyond this many. */
const MAX_REMEMBERED = 4096;

/** Decides what becomes a document, what a count, and what is dropped. No I/O. */
export class EventSeries {
  readonly #clock: Clock;
  readonly #limit: { burst: number; refillMs: number };
  /** Least recently used first. */
  readonly #series = new Map<string, { occurrence: Occurrence; seenAt: number }>();
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock, limit: { burst: number; refillMs: number }) {
    this.#clock = clock;
    this.#limit = limit;
  }

  observe(object: ApiObject, event: EventDetails): Occurrence | undefined {
    const now = microTimestamp(this.#clock);
    const at = this.#clock.monotonic();
    const uid = object.metadata?.uid ?? `${object.kind}/${object.metadata?.namespace}/${object.metadata?.name}`;
    const id = [uid, event.type, event.reason, event.action, event.message, event.related?.metadata?.uid].join('\n');
    const known = this.#series.get(id);
    const isRepeat = known !== undefined && at - known.seenAt <= SERIES_MS;
    if (!this.#bucket(uid).take()) return undefined;
    const occurrence: Occurrence = isRepeat
      ? { ...known.occurrence, object, lastTime: now, count: known.occurrence.count + 1, isRepeat }
      : { id, name: documentName(object, id, now), object, event, firstTime: now, lastTime: now, count: 1, isRepeat };
    remember(this.#series, id, { occurrence, seenAt: at });
    return occurrence;
  }

  #bucket(uid: string): TokenBucket {
    const bucket =
      this.#buckets.get(uid) ??
      new TokenBucket(() => this.#clock.monotonic(), 1000 / this.#limit.refillMs, this.#limit.burst);
    remember(this.#buckets, uid, bucket);
    return bucket;
  }
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_REMEMBERED) map.delete(map.keys().next().value!);
}

/** `<object>.<16 hex>`, as other recorders name them; unique per series. */
function documentName(object: ApiObject, id: string, now: string): string {
  const hash = createHash('sha256').update(id).update(now).update(String(process.pid)).digest('hex').slice(0, 16);
  return `${(object.metadata?.name ?? 'unknown').slice(0, 236)}.${hash}`;
}
