/**
 * Reads a log from a position to its end, and with `follow` onwards. Rotation is followed by inode: the open file is read to its end, then
 * the next younger one from its start, so nothing is lost or read twice. Bytes are passed on as they are; nothing is decoded.
 */
import { watchChanges } from './changes.ts';
import { type LogFile, type OpenLog, openLogFile } from './open.ts';
import { closeSegments, openSegments } from './segments.ts';
import { tailPosition } from './tail.ts';
import { positionSince } from './times.ts';

export interface ReadLogOptions {
  /** Keep reading until the task has ended (`ended`) and everything was read. Default: stop at the present end. */
  follow?: boolean;
  /** Begin this many lines before the end. Default: at the beginning of the oldest file. */
  tailLines?: number;
  /** Leave out what was written before this time: to the second as a rule, see times.ts; by whole files where a log has no notes of times. */
  sinceMs?: number;
  /** Resolves when nothing more will be written. */
  ended?: Promise<unknown>;
  signal?: AbortSignal;
}

const CHUNK = 64 * 1024;

/** Where the reader is. `open` is the one file that it holds open between reads; whoever replaces it closes the old one. */
interface Place {
  sandbox: string;
  file: LogFile;
  signal: AbortSignal;
  open: OpenLog | undefined;
  offset: number;
}

/** The log's bytes, in order. Ends quietly when the signal fires. */
export async function* readLog(sandbox: string, file: LogFile, options: ReadLogOptions = {}): AsyncGenerator<Buffer> {
  const signal = options.signal ?? new AbortController().signal;
  const changes = options.follow ? watchChanges(sandbox, options.ended, signal) : undefined;
  const place: Place = { sandbox, file, signal, open: undefined, offset: 0 };
  try {
    yield* readPresent(place, options);
    while (changes !== undefined && !signal.aborted) {
      // Asked before the read: what was written before the end is then certainly read.
      const hasEnded = changes.hasEnded();
      yield* readOn(place);
      if (hasEnded) return;
      await changes.next();
    }
  } finally {
    changes?.close();
    await place.open?.handle.close();
  }
}

/** What is there now, from where the options say; the newest file stays open. */
async function* readPresent(place: Place, options: ReadLogOptions): AsyncGenerator<Buffer> {
  const segments = await openSegments(place.sandbox, place.file);
  let taken = 0;
  try {
    const { sinceMs, tailLines } = options;
    const oldest = segments.findIndex(({ modifiedMs }) => sinceMs === undefined || modifiedMs >= sinceMs);
    const start = tailLines === undefined ? undefined : await tailPosition(segments, tailLines, place.signal);
    const since = { segment: oldest < 0 ? segments.length - 1 : oldest, offset: 0 };
    if (sinceMs !== undefined && segments[since.segment] !== undefined)
      since.offset = await positionSince(place.sandbox, place.file, segments[since.segment]!, sinceMs);
    const first = Math.max(since.segment, start?.segment ?? 0);
    for (const [index, segment] of segments.entries()) {
      taken = index + 1;
      await moveTo(place, segment);
      if (index < first) continue;
      place.offset = Math.max(
        start !== undefined && index === start.segment ? start.offset : 0,
        index === since.segment ? since.offset : 0,
      );
      yield* readToEnd(place);
    }
  } finally {
    await closeSegments(segments.slice(taken));
  }
}

/** Reads what is new since the last look, over any rotations. */
async function* readOn(place: Place): AsyncGenerator<Buffer> {
  while (!place.signal.aborted) {
    if (place.open !== undefined) {
      yield* readToEnd(place);
      if (await isCurrent(place)) return;
      // Rotated. The writer may have written between our read and the rename; after it, never: one more read empties the file.
      yield* readToEnd(place);
    }
    const next = await openSuccessor(place);
    if (next === undefined) return;
    await moveTo(place, next);
  }
}

async function* readToEnd(place: Place): AsyncGenerator<Buffer> {
  const { handle } = place.open!;
  const { size } = await handle.stat();
  // Logs that keep no rotated files are truncated in place.
  if (size < place.offset) place.offset = 0;
  while (!place.signal.aborted) {
    const buffer = Buffer.allocUnsafe(CHUNK);
    const { bytesRead } = await handle.read(buffer, 0, CHUNK, place.offset);
    if (bytesRead === 0) return;
    place.offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function moveTo(place: Place, next: OpenLog): Promise<void> {
  const old = place.open;
  place.open = next;
  place.offset = 0;
  await old?.handle.close();
}

async function isCurrent({ sandbox, file, open }: Place): Promise<boolean> {
  const newest = await openLogFile(sandbox, file, 0);
  await newest?.handle.close();
  // Between the two renames of a rotation there is no current file: wait for it.
  return newest === undefined || newest.inode === open?.inode;
}

/** The file that was begun after the open one. If that was rotated out of existence, the oldest that is left. */
async function openSuccessor({ sandbox, file, open }: Place): Promise<OpenLog | undefined> {
  const segments = await openSegments(sandbox, file);
  const position = segments.findIndex(({ inode }) => inode === open?.inode);
  const chosen = segments[position + 1];
  await closeSegments(segments.filter((segment) => segment !== chosen));
  return chosen;
}
