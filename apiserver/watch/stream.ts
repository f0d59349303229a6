/** Bytes that may wait for one watcher before it is cut off. It reconnects from its last revision, so nothing is lost by that. */
export const defaultMaxPendingBytes = 8 * 1024 * 1024;

/** Initial events are written in pieces of about this size. */
const pieceBytes = 128 * 1024;

/** Where a watcher's events go: an HTTP response, or a caller in this process. */
export interface WatchOutput {
  readonly destroyed: boolean;
  readonly writableEnded: boolean;
  /** Returns false when no more should be written before `drain`. */
  write(bytes: Buffer): boolean;
  end(last?: Buffer): unknown;
  destroy(): unknown;
  on(event: 'close' | 'drain', listener: () => void): unknown;
}

/**
 * Writes events to one watcher without waiting for it: first the initial ones (pulled as the client reads, so a long list costs no memory),
 * then live ones, which queue behind. A client that does not read is cut off when too much waits for it.
 */
export class WatchStream {
  readonly #out: WatchOutput;
  readonly #maxPendingBytes: number;
  #initial: Iterator<Buffer> | undefined;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #blocked = false;
  #ended = false;

  constructor(out: WatchOutput, options: { initial?: Iterable<Buffer>; maxPendingBytes?: number } = {}) {
    this.#out = out;
    this.#maxPendingBytes = options.maxPendingBytes ?? defaultMaxPendingBytes;
    this.#initial = options.initial?.[Symbol.iterator]();
    out.on('drain', () => {
      this.#blocked = false;
      this.#flush();
    });
    this.#flush();
  }

  /** True once the client is up to date with all that was sent: bookmarks make sense only then. */
  get idle(): boolean {
    return !this.#blocked && this.#initial === undefined && this.#pending.length === 0;
  }

  /** Returns false when the client was too slow and has been cut off. */
  send(event: Buffer): boolean {
    if (this.#ended) return false;
    if (this.idle) {
      this.#write(event);
      return true;
    }
    this.#pending.push(event);
    this.#pendingBytes += event.length;
    if (this.#pendingBytes <= this.#maxPendingBytes) return true;
    this.#ended = true;
    this.#drop();
    this.#out.destroy();
    return false;
  }

  /** Ends cleanly after what is pending; a client that does not take it is the server's business at shutdown. */
  end(last?: Buffer): void {
    if (this.#ended) return;
    if (last) this.send(last);
    this.#ended = true;
    if (this.#pending.length === 0 && this.#initial === undefined) this.#out.end();
    else if (!this.#blocked) this.#flush();
  }

  /** The connection is gone. */
  abandon(): void {
    this.#ended = true;
    this.#drop();
  }

  #drop(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#initial = undefined;
  }

  #flush(): void {
    while (!this.#blocked && this.#initial !== undefined) {
      const piece = nextPiece(this.#initial);
      if (piece === undefined) this.#initial = undefined;
      else this.#write(piece);
    }
    while (!this.#blocked && this.#pending.length > 0) {
      const piece = this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending);
      this.#pending = [];
      this.#pendingBytes = 0;
      this.#write(piece);
    }
    if (this.#ended && !this.#blocked && this.#pending.length === 0 && !this.#out.writableEnded) this.#out.end();
  }

  #write(bytes: Buffer): void {
    if (!this.#out.destroyed && !this.#out.write(bytes)) this.#blocked = true;
  }
}

function nextPiece(events: Iterator<Buffer>): Buffer | undefined {
  const piece: Buffer[] = [];
  let size = 0;
  while (size < pieceBytes) {
    const { value, done } = events.next();
    if (done) break;
    piece.push(value);
    size += value.length;
  }
  return piece.length === 0 ? undefined : Buffer.concat(piece);
}
