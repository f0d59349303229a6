/** A directory of checkpoints of one kind, one file per name: the agent's task records. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CheckpointKind,
  CheckpointTooNew,
  readCheckpoint,
  removeCheckpoint,
  removeUnfinished,
  type WriteOptions,
  writeCheckpoint,
} from './file.ts';

export interface CheckpointDirectory<T> {
  /** Everything that is stored, by name. Leftover temporary files are removed. */
  load(): Promise<Map<string, T>>;
  /** Durable when resolved. Writes of one name happen in call order; a write that is overtaken before it began is left out. */
  write(name: string, data: T, options?: WriteOptions): Promise<void>;
  remove(name: string): Promise<void>;
}

export interface CheckpointDirectoryOptions {
  /** true: a corrupt file rejects `load`. false: it is reported to `onCorrupt` and left out. */
  strict: boolean;
  onCorrupt?: (error: Error) => void;
}

const SAFE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Opens (and makes) the directory. */
export async function openCheckpointDirectory<T>(
  path: string,
  kind: CheckpointKind,
  options: CheckpointDirectoryOptions,
): Promise<CheckpointDirectory<T>> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const writers = new Map<string, Writer>();
  return {
    load: () => loadAll<T>(path, kind, options),
    write: async (name, data, { durable = true } = {}) => {
      const file = fileOf(path, name);
      return enqueue(writers, name, { durable, run: (durable) => writeCheckpoint(file, kind, data, { durable }) });
    },
    remove: (name) => enqueue(writers, name, { durable: true, run: () => removeCheckpoint(fileOf(path, name)) }),
  };
}

interface Change {
  durable: boolean;
  run(durable: boolean): Promise<void>;
}

/** One writer per name: `waiting` is the newest change that nobody began yet; durable when it, or one that it overtook, has to be. */
interface Writer {
  running: Promise<void>;
  waiting?: { change: Change; done: Promise<void> };
}

function enqueue(writers: Map<string, Writer>, name: string, change: Change): Promise<void> {
  const writer = writers.get(name);
  if (writer === undefined) return begin(writers, name, change);
  if (writer.waiting !== undefined) {
    const durable = writer.waiting.change.durable || change.durable;
    writer.waiting.change = { durable, run: change.run };
    return writer.waiting.done;
  }
  const next = (): Promise<void> => begin(writers, name, writer.waiting?.change ?? change);
  writer.waiting = { change, done: writer.running.then(next, next) };
  return writer.waiting.done;
}

function begin(writers: Map<string, Writer>, name: string, { durable, run }: Change): Promise<void> {
  const running = run(durable);
  const writer: Writer = { running };
  writers.set(name, writer);
  const finished = (): void => {
    if (writers.get(name) === writer && writer.waiting === undefined) writers.delete(name);
  };
  running.then(finished, finished);
  return running;
}

async function loadAll<T>(
  path: string,
  kind: CheckpointKind,
  options: CheckpointDirectoryOptions,
): Promise<Map<string, T>> {
  const found = new Map<string, T>();
  await removeUnfinished(path);
  for (const file of await readdir(path)) {
    if (!file.endsWith('.json')) continue;
    try {
      const data = await readCheckpoint<T>(join(path, file), kind);
      if (data !== undefined) found.set(file.slice(0, -'.json'.length), data);
    } catch (error) {
      if (options.strict || error instanceof CheckpointTooNew) throw error;
      options.onCorrupt?.(error as Error);
    }
  }
  return found;
}

function fileOf(path: string, name: string): string {
  if (!SAFE_NAME.test(name)) throw new Error(`"${name}" cannot be the name of a checkpoint`);
  return join(path, `${name}.json`);
}
