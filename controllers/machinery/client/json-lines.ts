const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into JSON documents, one per line. Works on bytes, so a chunk may end inside a UTF-8 sequence; each line is decoded and
 * parsed exactly once, and a line of many chunks is joined once (linear time, also for documents of several MiB).
 */
export class JsonLines {
  #partial: Buffer[] = [];

  /** Returns the documents that are complete with this chunk. Throws SyntaxError for a line that is not JSON. */
  push(chunk: Buffer): unknown[] {
    const documents: unknown[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = this.#take(chunk.subarray(start, end));
      if (line.length > 0) documents.push(JSON.parse(line));
      start = end + 1;
    }
    if (start < chunk.length) this.#partial.push(chunk.subarray(start));
    return documents;
  }

  /** Bytes of a last line that never ended. */
  get pendingBytes(): number {
    return this.#partial.reduce((sum, part) => sum + part.length, 0);
  }

  #take(last: Buffer): string {
    if (this.#partial.length === 0) return last.toString('utf8').trim();
    const line = Buffer.concat([...this.#partial, last])
      .toString('utf8')
      .trim();
    this.#partial = [];
    return line;
  }
}
