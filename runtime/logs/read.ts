/**
 * Reads a log from a position to its end, and with `follow` onwards. Rotation is followed by inode: the open file is read to its end, then
 * the next younger one from its start, so nothing is lost or read twice. Bytes are passed on as they are; nothing is decoded.
 */
import { watchChanges } from './changes.ts';
import { type LogFile, type OpenLog, openLogFile } from './open.ts';
import { closeSegments, openSegments } from './segments.ts';
import { type LogPosition, tailPosition } from './tail.ts';
import { positionSince } from './times.ts';

export interface ReadLogOptions {
  /** Keep reading until the task has ended (`ended`) and everything was read. Default: stop at the present end. */
  follow?: boolean;
  /** Begin this many lines before the end. Default: at the beginning of the oldest file. */
  tailLines?: number;
  /** Leave out what was written before this time: to the second as a rule, see times.ts; by whole files where a log has no notes of times. */
  sinceMs?: number;
  /** Go on at a place that an earlier reader came to; the two above do not count then. If it was rotated out of existence: at the oldest file. */
  after?: LogPlace;
  /** Told once, before the first bytes: where they begin; undefined when there is no file yet. */
  onStart?: (start: LogPlace | undefined) => void;
  /** Resolves when nothing more will be written. */
  ended?: Promise<unknown>;
  signal?: AbortSignal;
}

/** A place that outlives this process, and rotations. `offset` may be beyond the end of the file: then it is in those that came after. */
export interface LogPlace {
  /** 0: of the oldest file. */
  inode: bigint;
  offset: number;
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
    const start = options.after ? positionAfter(segments, options.after) : await positionOf(place, segments, options);
    const first = segments[start.segment];
    options.onStart?.(first && { inode: first.inode, offset: start.offset });
    for (const [index, segment] of segments.entries()) {
      taken = index + 1;
      await moveTo(place, segment);
      if (index < start.segment) continue;
      if (index === start.segment) place.offset = start.offset;
      yield* readToEnd(place);
    }
  } finally {
    await closeSegments(segments.slice(taken));
  }
}

/** The later one of what `tailLines` and `sinceMs` say. */
async function positionOf(
  { sandbox, file, signal }: Place,
  segments: OpenLog[],
  { sinceMs, tailLines }: ReadLogOptions,
): Promise<LogPosition> {
  const oldest = segments.findIndex(({ modifiedMs }) => sinceMs === undefined || modifiedMs >= sinceMs);
  const tail = tailLines === undefined ? { segment: 0, offset: 0 } : await tailPosition(segments, tailLines, signal);
  const since = { segment: oldest < 0 ? Math.max(0, segments.length - 1) : oldest, offset: 0 };
  if (sinceMs !== undefined && segments[since.segment] !== undefined)
    since.offset = await positionSince(sandbox, file, segments[since.segment]!, sinceMs);
  if (tail.segment === since.segment) return { segment: tail.segment, offset: Math.max(tail.offset, since.offset) };
  return tail.segment > since.segment ? tail : since;
}

function positionAfter(segments: OpenLog[], { inode, offset }: LogPlace): LogPosition {
  const known = inode === 0n ? 0 : segments.findIndex((segment) => segment.inode === inode);
  const position = { segment: Math.max(0, known), offset: known < 0 ? 0 : offset };
  // Only the newest still grows: what an earlier one does not have was read from those after it.
  for (let size: number; position.segment < segments.length - 1; position.segment += 1) {
    size = segments[position.segment]!.size;
    if (position.offset < size) break;
    position.offset -= size;
  }
  return position;
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
