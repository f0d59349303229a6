/**
 * Where in a log what was written since some time begins. Its supervisor notes that beside each log (`.stdout.times`: pairs of Unix time in ms and position),
 * to the second, after 16,384 notes to the minute. The file belongs to the task's user like the log: what makes no sense in it is not used.
 */
import type { FileHandle } from 'node:fs/promises';
import { type LogFile, type OpenLog, openSandboxFile } from './open.ts';

const NOTE_BYTES = 16;
const FINE_NOTES = 16_384;
const FINE_MS = 1_000;
const COARSE_MS = 60_000;
/** A task that fills its sandbox with such a file must not fill our memory. */
const MOST_BYTES = 8 * 2 ** 20;

/** The position of the first byte written at or (by the grain of the notes) a little before `sinceMs`; 0 when there are no notes of use. */
export async function positionSince(sandbox: string, file: LogFile, log: OpenLog, sinceMs: number): Promise<number> {
  const name = log.index === 0 ? `.${file}.times` : `.${file}.${log.index}.times`;
  const times = await openSandboxFile(sandbox, name);
  if (times === undefined) return 0;
  try {
    return times.size > MOST_BYTES ? 0 : search(await readNotes(times.handle, times.size), log.size, sinceMs);
  } finally {
    await times.handle.close();
  }
}

interface Note {
  timeMs: number;
  position: number;
}

async function readNotes(handle: FileHandle, size: number): Promise<Note[]> {
  const buffer = Buffer.alloc(size - (size % NOTE_BYTES));
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  return Array.from({ length: Math.floor(bytesRead / NOTE_BYTES) }, (_, index) => ({
    timeMs: Number(buffer.readBigUInt64LE(index * NOTE_BYTES)),
    position: Number(buffer.readBigUInt64LE(index * NOTE_BYTES + 8)),
  }));
}

/** A clock that was set back makes a later note of an earlier time: the first that is late enough counts, so that too much is shown and not too little. */
function search(notes: Note[], size: number, sinceMs: number): number {
  if (notes.length === 0) return 0;
  let last = 0;
  for (const [index, { timeMs, position }] of notes.entries()) {
    // Not of this file: it was rotated or truncated meanwhile.
    if (position < last || position > size) return 0;
    last = position;
    if (timeMs + (index < FINE_NOTES ? FINE_MS : COARSE_MS) > sinceMs) return position;
  }
  return size;
}
