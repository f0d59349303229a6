/**
 * Durable JSON files. A reader sees the old or the new content, never a part of it, and what `writeCheckpoint` acknowledged
 * survives a crash and a power cut: temporary file, fsync, rename, fsync of the directory.
 */
import { closeSync, fdatasync, open, rename, writeSync } from 'node:fs';
import { readdir, readFile, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { syncDirectory } from './directory-sync.ts';

/** The file exists but is not what was written: strict start-up stops here instead of guessing. */
export class CheckpointCorrupt extends Error {
  readonly path: string;
  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`checkpoint ${path} is corrupt: ${problem}`, options);
    this.name = 'CheckpointCorrupt';
    this.path = path;
  }
}

/** The file was written by a newer version of the program. */
export class CheckpointTooNew extends Error {
  readonly path: string;
  constructor(path: string, found: number, supported: number) {
    super(`checkpoint ${path} has version ${found}; this program reads up to ${supported}: start the newer program`);
    this.name = 'CheckpointTooNew';
    this.path = path;
  }
}

/** What a kind of checkpoint is called and which versions can be read. */
export interface CheckpointKind {
  kind: string;
  version: number;
}

interface Envelope {
  kind: string;
  version: number;
  data: unknown;
}

// What changes the file system's tables can wait for a journal commit of another process, so it is not done on this thread.
const [openFile, datasync, renameFile] = [promisify(open), promisify(fdatasync), promisify(rename)];

const unfinished = '.tmp';
let temporaryCounter = 0;

export interface WriteOptions {
  /**
   * false: survives the end of this process but not a power cut, for what can be found out again as long as the machine runs. Default: true.
   */
  durable?: boolean;
}

/** Resolves when the value is on disk under its name. */
export async function writeCheckpoint(
  path: string,
  kind: CheckpointKind,
  data: unknown,
  { durable = true }: WriteOptions = {},
): Promise<void> {
  const envelope: Envelope = { kind: kind.kind, version: kind.version, data };
  temporaryCounter += 1;
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${temporaryCounter}${unfinished}`);
  try {
    await writeFile(temporary, `${JSON.stringify(envelope)}\n`, durable);
    await renameFile(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  if (durable) await syncDirectory(dirname(path));
}

/** undefined when there is no such file. Throws CheckpointCorrupt or CheckpointTooNew. */
export async function readCheckpoint<T>(path: string, kind: CheckpointKind): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return decode<T>(path, text, kind);
}

/** What writers that were killed left in the directory. Nobody may be writing there. */
export async function removeUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory))
    if (name.endsWith(unfinished)) await unlink(join(directory, name)).catch(() => {});
}

/** Removes the file; not an error when it is not there. Without fsync: a file that comes back after a power cut is removed again. */
export async function removeCheckpoint(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

function decode<T>(path: string, text: string, kind: CheckpointKind): T {
  let envelope: Partial<Envelope> | null;
  try {
    envelope = JSON.parse(text) as Partial<Envelope> | null;
  } catch (cause) {
    throw new CheckpointCorrupt(path, text.length === 0 ? 'it is empty' : 'it is not JSON', { cause });
  }
  if (
    envelope === null ||
    typeof envelope !== 'object' ||
    typeof envelope.version !== 'number' ||
    !('data' in envelope)
  ) {
    throw new CheckpointCorrupt(path, 'it has no version and data');
  }
  if (envelope.kind !== kind.kind) throw new CheckpointCorrupt(path, `it holds a ${envelope.kind}, not a ${kind.kind}`);
  if (envelope.version > kind.version) throw new CheckpointTooNew(path, envelope.version, kind.version);
  return envelope.data as T;
}

async function writeFile(path: string, text: string, durable: boolean): Promise<void> {
  const file = await openFile(path, 'wx', 0o600);
  try {
    writeAll(file, Buffer.from(text));
    if (durable) await datasync(file);
  } finally {
    closeSync(file);
  }
}

/** Into the page cache: quicker done than handed to another thread. */
function writeAll(file: number, bytes: Buffer): void {
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(file, bytes, offset);
}
