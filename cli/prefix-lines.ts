/** Puts a prefix before each line of a stream, and keeps lines of several streams whole. */
import { Transform } from 'node:stream';

const NEWLINE = 0x0a;
/** A longer line is cut: what has no end must not fill our memory. */
const LONGEST = 64 * 1024;

export function prefixLines(prefix: string): Transform {
  const head = Buffer.from(prefix);
  let pending: Buffer[] = [];
  let length = 0;
  const take = (stream: Transform, part: Buffer): void => {
    stream.push(Buffer.concat([head, ...pending, part, Buffer.of(NEWLINE)]));
    pending = [];
    length = 0;
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        take(this, chunk.subarray(start, end));
        start = end + 1;
      }
      const rest = chunk.subarray(start);
      if (rest.length > 0) pending.push(rest);
      length += rest.length;
      if (length > LONGEST) take(this, Buffer.alloc(0));
      done();
    },
    flush(done) {
      if (length > 0) take(this, Buffer.alloc(0));
      done();
    },
  });
}
