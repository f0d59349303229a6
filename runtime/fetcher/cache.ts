/**
 * Files that several tasks fetch, kept as long as there is room: the least recently used one that nobody uses goes first. Concurrent users of a file
 * share one download. As in Mesos: kept for each user apart, never refreshed, empty when the agent starts, and never a reason to fail - what
 * cannot be cached is fetched directly.
 */
import { createHash } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import type { Download, Downloaded, DownloadRequest } from './download.ts';

export interface CachedFile {
  path: string;
  sha256: string;
  /** It may be evicted again. Once. */
  release(): void;
}

export interface FetchCache {
  /** Undefined when the file cannot be cached. Rejects when the download fails, and with the signal's reason. */
  acquire(key: CacheKey, request: Omit<DownloadRequest, 'path'>): Promise<CachedFile | undefined>;
  /** Bytes of all files, those under way included. */
  size(): number;
}

export interface CacheKey {
  user: string;
  url: URL;
}

interface Entry {
  path: string;
  /** Set aside for it. */
  bytes: number;
  users: number;
  /** Larger is later. */
  lastUse: number;
  content: Promise<Downloaded>;
  /** Ends the download once nobody waits for it any more. */
  abort: AbortController;
  listeners: Set<NonNullable<DownloadRequest['onProgress']>>;
}

/** Ends a download that turned out not to be cacheable. */
class NotCacheable extends Error {}

export function createFetchCache(directory: string, capacityBytes: number, download: Download): FetchCache {
  const entries = new Map<string, Entry>();
  let used = 0;
  let clock = 0;
  let serial = 0;

  const forget = async (name: string, entry: Entry): Promise<void> => {
    if (entries.get(name) !== entry) return;
    entries.delete(name);
    used -= entry.bytes;
    await rm(entry.path, { force: true });
  };
  const makeRoom = (bytes: number): void => {
    const idle = [...entries]
      .filter(([, { users }]) => users === 0)
      .sort(([, one], [, other]) => one.lastUse - other.lastUse);
    const evictable = idle.reduce((sum, [, entry]) => sum + entry.bytes, 0);
    if (used - evictable + bytes > capacityBytes) throw new NotCacheable();
    for (const [name, entry] of idle) {
      if (used + bytes <= capacityBytes) return;
      void forget(name, entry).catch(() => {}); // its space is gone from the count; the next start removes the file
    }
  };
  const begin = (name: string, request: Omit<DownloadRequest, 'path'>): Entry => {
    // Never the same twice: what is being removed is not what comes next.
    const path = `${directory}/${name}.${++serial}`;
    const partial = `${path}.part`;
    const abort = new AbortController();
    const listeners: Entry['listeners'] = new Set();
    const content = Promise.resolve({ bytes: 0, sha256: '' });
    const entry: Entry = { path, bytes: 0, users: 0, lastUse: 0, abort, listeners, content };
    const downloading = download({
      ...request,
      path: partial,
      signal: abort.signal,
      onSize(bytes) {
        if (bytes === undefined || bytes === 0) throw new NotCacheable();
        makeRoom(bytes);
        entry.bytes = bytes;
        used += bytes;
      },
      onProgress(done, total) {
        for (const listener of listeners) listener(done, total);
      },
    });
    entry.content = downloading
      .then(async (downloaded) => {
        await rename(partial, path);
        return downloaded;
      })
      .catch(async (error: unknown) => {
        await forget(name, entry);
        await rm(partial, { force: true });
        throw error;
      });
    entry.content.catch(() => {}); // told to whoever waits
    entries.set(name, entry);
    return entry;
  };

  return {
    size: () => used,
    async acquire({ user, url }, request) {
      const { signal, onProgress } = request;
      signal?.throwIfAborted();
      const name = createHash('sha256')
        .update(JSON.stringify([user, url.href]))
        .digest('hex');
      const entry = entries.get(name) ?? begin(name, request);
      entry.users++;
      entry.lastUse = ++clock;
      if (onProgress) entry.listeners.add(onProgress);
      const release = (): void => {
        entry.users--;
        if (onProgress) entry.listeners.delete(onProgress);
      };
      try {
        const { sha256 } = await orAborted(entry.content, signal);
        return { path: entry.path, sha256, release: once(release) };
      } catch (error) {
        release();
        // The last one that waited: what nobody wants is not fetched on, and the next one starts anew.
        if (entry.users === 0 && signal?.aborted) {
          entry.abort.abort(signal.reason);
          await entry.content.catch(() => {});
        }
        if (error instanceof NotCacheable) return undefined;
        throw error;
      }
    },
  };
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}
