import { ApiError } from '../http/errors.ts';
import type { Entry } from '../store/entry.ts';
import type { Store } from '../store/store.ts';
import type { WatchHub } from './hub.ts';
import { EncodedEvents, encodeBookmark, encodeError, encodeEvent, type Representation } from './representation.ts';
import { eventFor, type Selection } from './selection.ts';
import { listPage } from './snapshot.ts';
import { type WatchOutput, WatchStream } from './stream.ts';

export interface WatchRequest {
  selection: Selection;
  representation: Representation;
  /** Of the objects, for bookmarks. */
  kind: { apiVersion: string; kind: string };
  /** From where events are sent; undefined: begin with the present state as ADDED events. */
  fromRevision?: number;
  bookmarks: boolean;
  /** The client asked for the initial events explicitly: a marked bookmark ends them. */
  markInitialEnd: boolean;
  timeoutMs: number;
}

export interface WatchSettings {
  bookmarkIntervalMs: number;
  maxPendingBytes: number;
}

export interface ActiveWatch {
  /** Ends cleanly, after a last bookmark. */
  end(): void;
}

/**
 * Serves one watch on an open response.
 *
 * Guarantees: every change of the selection after the start revision is sent once, in order; nothing is skipped between the initial events
 * and the live ones. A client that is too slow is disconnected, and may resume from the last revision it has seen.
 * Throws Expired (410) when the history does not reach back to the start revision.
 */
export function startWatch(
  store: Store,
  hub: WatchHub,
  request: WatchRequest,
  out: WatchOutput,
  settings: WatchSettings,
): ActiveWatch {
  const { selection, representation } = request;
  let sentRevision = store.revision;
  const stream = new WatchStream(out, {
    initial:
      request.fromRevision === undefined ? initialEvents(store, request) : replay(store, request, request.fromRevision),
    maxPendingBytes: settings.maxPendingBytes,
  });

  const stopListening = hub.subscribe(selection.storage, (entries, encoded) => {
    for (const entry of entries) {
      const event = eventFor(selection, entry);
      if (event && !stream.send(encoded.get(event, representation))) return stop();
      if (event) sentRevision = entry.revision;
    }
  });
  const bookmark = () => {
    // Behind a backlog it would only add to it, and one that repeats the last revision says nothing.
    if (!request.bookmarks || !stream.idle || store.revision === sentRevision) return;
    sentRevision = store.revision;
    stream.send(encodeBookmark(request.kind, sentRevision, false));
  };
  const bookmarkTimer = setInterval(bookmark, settings.bookmarkIntervalMs);
  const end = () => {
    bookmark();
    stop();
    stream.end();
  };
  const endTimer = setTimeout(end, request.timeoutMs);
  const stop = () => {
    stopListening();
    clearInterval(bookmarkTimer);
    clearTimeout(endTimer);
  };
  out.on('close', () => {
    stop();
    stream.abandon();
  });
  return { end };
}

/** For a watch that could not start after its headers were promised: 410 arrives as an event, as the genuine server does it. */
export function errorEvent(error: ApiError): Buffer {
  return encodeError(error.toStatus());
}

/** The present state as ADDED events; encoded when the client reads them. */
function initialEvents(store: Store, request: WatchRequest): Iterable<Buffer> {
  const { entries, revision } = listPage(store, request.selection, {});
  const end = request.markInitialEnd && request.bookmarks ? encodeBookmark(request.kind, revision, true) : undefined;
  return encodeAdded(entries, request.representation, end);
}

function* encodeAdded(entries: Entry[], representation: Representation, end: Buffer | undefined): Generator<Buffer> {
  for (const entry of entries) yield encodeEvent({ type: 'ADDED', entry, left: false }, representation);
  if (end) yield end;
}

/** What happened after the revision. Selected now, while every entry still has its `previous`; encoded when the client reads. */
function replay(store: Store, request: WatchRequest, revision: number): Iterable<Buffer> {
  if (revision < store.history.horizon) {
    throw new ApiError('Expired', `too old resource version: ${revision} (${store.history.horizon})`);
  }
  // A revision from the future comes from another data directory: only a new list can help its holder.
  if (revision > store.revision) {
    throw new ApiError('Expired', `unknown resource version: ${revision} (the newest is ${store.revision})`);
  }
  const encoded = new EncodedEvents();
  const events: Buffer[] = [];
  for (const entry of store.history.after(revision)) {
    if (entry.storage !== request.selection.storage) continue;
    const event = eventFor(request.selection, entry);
    if (event) events.push(encoded.get(event, request.representation));
  }
  return events;
}
