/**
 * fsync of directories, shared: an fsync makes every rename before it durable, so callers that arrive while one is running share the next one.
 * Thirty tasks that are checkpointed at once cost two directory fsyncs, not thirty.
 */
import { open } from 'node:fs/promises';

interface Pending {
  running: Promise<void>;
  next?: Promise<void>;
}

const pending = new Map<string, Pending>();

/** Resolves after an fsync of the directory that began after this call. */
export function syncDirectory(directory: string): Promise<void> {
  const current = pending.get(directory);
  if (current === undefined) return start(directory);
  // The running fsync may have begun before the caller's rename: only the next one is certain to cover it.
  current.next ??= current.running.then(
    () => start(directory),
    () => start(directory),
  );
  return current.next;
}

function start(directory: string): Promise<void> {
  const running = fsyncDirectory(directory);
  const entry: Pending = { running };
  pending.set(directory, entry);
  const finished = (): void => {
    if (pending.get(directory) === entry && entry.next === undefined) pending.delete(directory);
  };
  running.then(finished, finished);
  return running;
}

async function fsyncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
