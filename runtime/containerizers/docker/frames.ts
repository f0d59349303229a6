/** Docker's multiplexed streams: frames of a stream number (1 stdout, 2 stderr), three zero bytes, a big-endian length, and the bytes. */

export interface OutputFrame {
  stream: 'stdout' | 'stderr';
  data: Buffer;
}

const headerBytes = 8;

/** The frames of a stream, whatever pieces it comes in. A cut frame at the end is left out. */
export async function* readFrames(source: AsyncIterable<Buffer>): AsyncGenerator<OutputFrame> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= headerBytes) {
      const length = pending.readUInt32BE(4);
      if (pending.length < headerBytes + length) break;
      const data = pending.subarray(headerBytes, headerBytes + length);
      yield { stream: pending[0] === 2 ? 'stderr' : 'stdout', data };
      pending = pending.subarray(headerBytes + length);
    }
  }
}
