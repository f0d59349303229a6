/** Cuts the launcher's byte stream into frames and reads their fields. */
import { Buffer } from 'node:buffer';

/** Reads the fields of one frame in order. */
export class FrameReader {
  readonly type: number;
  readonly requestId: number;
  readonly #frame: Buffer;
  #at = 0;

  constructor(frame: Buffer) {
    this.#frame = frame;
    this.type = this.u32();
    this.requestId = this.u32();
  }

  u32(): number {
    this.#at += 4;
    return this.#frame.readUInt32LE(this.#at - 4);
  }

  i32(): number {
    this.#at += 4;
    return this.#frame.readInt32LE(this.#at - 4);
  }

  u64(): number {
    this.#at += 8;
    return Number(this.#frame.readBigUInt64LE(this.#at - 8));
  }

  text(): string {
    const length = this.u32();
    this.#at += length + 1;
    return this.#frame.toString('utf8', this.#at - length - 1, this.#at - 1);
  }
}

/** Feed it chunks as they come; it calls back once per whole frame. */
export function splitFrames(onFrame: (frame: FrameReader) => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length > 0 ? Buffer.concat([pending, chunk]) : chunk;
    while (pending.length >= 4) {
      const end = 4 + pending.readUInt32LE(0);
      if (pending.length < end) return;
      const frame = new FrameReader(pending.subarray(4, end));
      pending = pending.subarray(end);
      onFrame(frame);
    }
  };
}
