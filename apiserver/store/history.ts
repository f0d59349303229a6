import type { Entry } from './entry.ts';

/** How much of the past is kept, for watches and pages that continue from an older revision. The first limit that is reached counts. */
export interface HistoryLimits {
  maxEntries: number;
  maxBytes: number;
  maxAgeMs: number;
}

export const defaultHistoryLimits: HistoryLimits = {
  maxEntries: 50_000,
  maxBytes: 32 * 1024 * 1024,
  maxAgeMs: 10 * 60_000,
};

/** Compaction moves on by this many entries per transaction at least, and by twice what is written: it always catches up. */
const minimumStep = 64;

/**
 * The committed entries in revision order, back to the compaction horizon.
 * Guarantee: everything with a revision above `horizon` is here, with its `previous`.
 */
export class History {
  #entries: Entry[] = [];
  /** Entries before this index are dropped already; the array is cut now and then. */
  #start = 0;
  #bytes = 0;
  #horizon: number;
  readonly #limits: HistoryLimits;

  constructor(limits: HistoryLimits, horizon: number) {
    this.#limits = limits;
    this.#horizon = horizon;
  }

  /** Revisions at or below it cannot be watched from (410), except the horizon itself: all that follows it is known. */
  get horizon(): number {
    return this.#horizon;
  }

  get size(): number {
    return this.#entries.length - this.#start;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.json.length;
  }

  /** Entries above the revision, oldest first. The caller has checked it against the horizon. */
  after(revision: number): Entry[] {
    let low = this.#start;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#entries.slice(low);
  }

  /**
   * Drops what is beyond the limits, at most a few entries per write, and returns the revisions whose rows nobody can ask for any more.
   * The newest entry always stays, so that the highest revision is never forgotten.
   */
  compact(nowMs: number, writes: number): number[] {
    const obsolete: number[] = [];
    let steps = Math.max(minimumStep, writes * 2);
    while (this.size > 1 && steps-- > 0) {
      const oldest = this.#entries[this.#start]!;
      const beyond =
        this.size > this.#limits.maxEntries ||
        this.#bytes > this.#limits.maxBytes ||
        nowMs - oldest.timeMs > this.#limits.maxAgeMs;
      if (!beyond) break;
      this.#start += 1;
      this.#bytes -= oldest.json.length;
      this.#horizon = oldest.revision;
      if (oldest.previous) obsolete.push(oldest.previous.revision);
      if (oldest.deleted) obsolete.push(oldest.revision);
      oldest.previous = undefined;
    }
    if (this.#start > 1024 && this.#start > this.#entries.length / 2) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
    return obsolete;
  }
}
