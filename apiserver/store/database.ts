import { DatabaseSync } from 'node:sqlite';
import type { Batch, LogRecord } from './record.ts';

/** Goes up with every incompatible change of the tables; an older server refuses a newer file. */
export const schemaVersion = 1;

/** Marks the file as ours ("TEPU"), so that another program's database is not taken for an empty store. */
const applicationId = 0x54455055;

/** After this many WAL pages (4 KiB each) they are moved into the main file, after the waiting writers have been answered. */
const checkpointPages = 1000;

/** Free pages beyond this share of the file are given back to the file system, a few at a time. */
const freeShare = 0.25;
const vacuumPagesPerStep = 256;

export class DatabaseRefused extends Error {
  readonly why: 'newer' | 'locked' | 'damaged' | 'unwritable';
  constructor(why: DatabaseRefused['why'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DatabaseRefused';
    this.why = why;
  }
}

export interface LogDatabase {
  rows(): Iterable<LogRecord>;
  compactedRevision(): number;
  /** Returns after fsync; throws with nothing written. */
  commit(batch: Batch): void;
  /** Work that may wait until nobody waits: checkpoint and vacuum. Returns whether there is more of it. */
  tidy(): boolean;
  close(): void;
}

/**
 * Opens (or creates) the log: one append-only table, one row per write, keyed by revision.
 *
 * Guarantees: WAL with synchronous=FULL, so `commit` returns only after fsync; the exclusive lock keeps a second server out.
 */
export function openDatabase(path: string, maxPages = 0): LogDatabase {
  const db = openLocked(path);
  if (maxPages > 0) db.exec(`PRAGMA max_page_count = ${maxPages}`);
  const insert = db.prepare(
    'INSERT INTO log (revision, kind, storage, namespace, name, timeMs, value) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const remove = db.prepare('DELETE FROM log WHERE revision = ?');
  const setCompacted = db.prepare("UPDATE meta SET value = ? WHERE name = 'compactedRevision'");
  const begin = db.prepare('BEGIN IMMEDIATE');
  const end = db.prepare('COMMIT');
  let pagesSinceCheckpoint = 0;

  return {
    *rows() {
      yield* db
        .prepare('SELECT revision, kind, storage, namespace, name, timeMs, value FROM log ORDER BY revision')
        .iterate() as Iterable<unknown> as Iterable<LogRecord>;
    },
    compactedRevision() {
      return Number(db.prepare("SELECT value FROM meta WHERE name = 'compactedRevision'").get()?.value ?? 0);
    },
    commit(batch) {
      try {
        begin.run();
        for (const r of batch.records)
          insert.run(r.revision, r.kind, r.storage, r.namespace, r.name, r.timeMs, r.value);
        for (const revision of batch.obsolete) remove.run(revision);
        if (batch.obsolete.length > 0) setCompacted.run(String(batch.compactedRevision));
        end.run();
      } catch (error) {
        // SQLite may have rolled back by itself (it does on a full disk): a second rollback would be an error of its own.
        if (db.isTransaction) db.exec('ROLLBACK');
        throw error;
      }
      pagesSinceCheckpoint += 2 + batch.records.length + batch.obsolete.length;
    },
    tidy() {
      if (pagesSinceCheckpoint >= checkpointPages) {
        pagesSinceCheckpoint = 0;
        db.exec('PRAGMA wal_checkpoint(PASSIVE)');
      }
      const free = pragmaNumber(db, 'freelist_count');
      if (free < vacuumPagesPerStep || free < pragmaNumber(db, 'page_count') * freeShare) return false;
      // A pragma that steps: `get` would free one page only.
      db.prepare(`PRAGMA incremental_vacuum(${vacuumPagesPerStep})`).all();
      pagesSinceCheckpoint += vacuumPagesPerStep;
      return true;
    },
    close() {
      db.close();
    },
  };
}

function openLocked(path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path);
    db.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE;');
    const found = pragmaNumber(db, 'user_version');
    if (found > schemaVersion) {
      throw new DatabaseRefused(
        'newer',
        `the store has version ${found}, this program knows versions up to ${schemaVersion}`,
      );
    }
    if (found === 0) createTables(db, path);
    db.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${checkpointPages * 4};
       PRAGMA journal_size_limit = ${16 * 1024 * 1024};`,
    );
    // Takes the exclusive lock now, not at the first write.
    db.exec('BEGIN IMMEDIATE; COMMIT;');
    return db;
  } catch (error) {
    db?.close();
    throw error instanceof DatabaseRefused ? error : refusalOf(error);
  }
}

function createTables(db: DatabaseSync, path: string): void {
  const tables = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n ?? 0);
  if (tables > 0) throw new DatabaseRefused('damaged', `${path} is a database of another program`);
  // auto_vacuum has effect only before the first table.
  db.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE;
    CREATE TABLE log (
      revision INTEGER PRIMARY KEY, kind INTEGER NOT NULL, storage TEXT NOT NULL, namespace TEXT NOT NULL,
      name TEXT NOT NULL, timeMs INTEGER NOT NULL, value TEXT NOT NULL) STRICT;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    INSERT INTO meta VALUES ('compactedRevision', '0');
    PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}; COMMIT;`);
}

function pragmaNumber(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0] ?? 0);
}

/** SQLite's primary result codes, of those that have a plain cause. */
const busy = 5;
const locked = 6;
const corrupt = 11;
const full = 13;
const notADatabase = 26;

function refusalOf(error: unknown): DatabaseRefused {
  const code = primaryCode(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === busy || code === locked)
    return new DatabaseRefused('locked', 'another process uses the store', { cause: error });
  if (code === corrupt || code === notADatabase) return new DatabaseRefused('damaged', message, { cause: error });
  return new DatabaseRefused('unwritable', message, { cause: error });
}

/** Whether the write failed for want of space. */
export function isDiskFull(error: unknown): boolean {
  return primaryCode(error) === full;
}

function primaryCode(error: unknown): number {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0;
  return code & 0xff;
}
