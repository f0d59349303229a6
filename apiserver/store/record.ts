/** One row of the log on disk, and the messages between the server and the thread that owns the database. */

export const recordKinds = { put: 0, delete: 1 } as const;

export interface LogRecord {
  revision: number;
  /** One of recordKinds. */
  kind: number;
  storage: string;
  namespace: string;
  name: string;
  timeMs: number;
  value: string;
}

/** One transaction: everything in it becomes durable together, or nothing does. */
export interface Batch {
  records: LogRecord[];
  /** Revisions of rows that nobody can ask for any more. */
  obsolete: number[];
  /** Written with the deletions, so that a restarted server knows from where its history is whole. */
  compactedRevision: number;
}

export type FromLogThread =
  | { type: 'rows'; rows: LogRecord[] }
  | { type: 'ready'; compactedRevision: number }
  | { type: 'refused'; why: 'newer' | 'locked' | 'damaged' | 'unwritable'; message: string }
  | { type: 'committed'; commitMs: number }
  | { type: 'failed'; why: 'full' | 'failed'; message: string }
  | { type: 'closed' };

export type ToLogThread = { type: 'commit'; batch: Batch } | { type: 'close' };

export interface LogThreadSettings {
  path: string;
  /** 0 = no limit; tests use it to meet a full disk without filling one. */
  maxPages: number;
}
