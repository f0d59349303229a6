/** Where the last lines of a log begin. */
import type { OpenLog } from './open.ts';

const BLOCK = 64 * 1024;
const NEWLINE = 0x0a;

export interface LogPosition {
  /** Index in the list of segments, oldest first. */
  segment: number;
  offset: number;
}

/** The position `lines` lines before the end, over all segments. A last line without a newline counts as one. */
export async function tailPosition(segments: OpenLog[], lines: number, signal?: AbortSignal): Promise<LogPosition> {
  const end = { segment: Math.max(0, segments.length - 1), offset: segments.at(-1)?.size ?? 0 };
  if (lines <= 0) return end;
  // The newline at the very end closes the last line: one more newline has to be found than lines are wanted.
  let wanted = lines;
  let atVeryEnd = true;
  const buffer = Buffer.alloc(BLOCK);
  for (let segment = segments.length - 1; segment >= 0; segment -= 1) {
    const { handle, size } = segments[segment]!;
    for (let blockEnd = size; blockEnd > 0 && !signal?.aborted; blockEnd -= BLOCK) {
      const start = Math.max(0, blockEnd - BLOCK);
      const { bytesRead } = await handle.read(buffer, 0, blockEnd - start, start);
      for (let index = bytesRead - 1; index >= 0; index -= 1) {
        const isNewline = buffer[index] === NEWLINE;
        if (isNewline && !atVeryEnd) {
          wanted -= 1;
          if (wanted === 0) return { segment, offset: start + index + 1 };
        }
        atVeryEnd = false;
      }
    }
  }
  return { segment: 0, offset: 0 };
}
