/** Tells a follower when to look again: on any change in the directory, at the end of the task, on abort, and now and then. */
import { type FSWatcher, watch } from 'node:fs';

/** Change events may be missed (some file systems have none): look anyway after this time. */
const LOOK_AGAIN_MS = 1_000;

export interface Changes {
  /** Whether nothing more will be written. */
  hasEnded(): boolean;
  /** Resolves when something may have changed since the last call. */
  next(): Promise<void>;
  close(): void;
}

export function watchChanges(directory: string, ended: Promise<unknown> | undefined, signal: AbortSignal): Changes {
  let isEnded = false;
  let changed = true;
  let wake: (() => void) | undefined;
  const notify = (): void => {
    changed = true;
    wake?.();
  };
  const end = (): void => {
    isEnded = true;
    notify();
  };
  ended?.then(end, end);
  signal.addEventListener('abort', notify);
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(directory, { persistent: false }, notify);
    watcher.on('error', () => {});
  } catch {
    // No inotify left, or the directory went: the clock is enough.
  }
  return {
    hasEnded: () => isEnded,
    async next() {
      if (!changed) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, LOOK_AGAIN_MS);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = undefined;
      }
      changed = false;
    },
    close() {
      watcher?.close();
      signal.removeEventListener('abort', notify);
    },
  };
}
