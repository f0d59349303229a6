/**
 * The thread that owns the database. An fsync blocks it, and only it: the server's event loop goes on reading requests, and what they
 * write meanwhile becomes the next transaction.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { DatabaseRefused, isDiskFull, type LogDatabase, openDatabase } from './database.ts';
import type { Batch, FromLogThread, LogRecord, LogThreadSettings, ToLogThread } from './record.ts';

const rowsPerMessage = 1000;

const settings = workerData as LogThreadSettings;
const port = parentPort;
if (port === null) throw new Error('log-thread.ts runs as a worker thread only');
const send = (message: FromLogThread) => port.postMessage(message);

const database = open();
if (database !== undefined) {
  load(database);
  serve(database);
}

function open(): LogDatabase | undefined {
  try {
    return openDatabase(settings.path, settings.maxPages);
  } catch (error) {
    const refusal =
      error instanceof DatabaseRefused ? error : new DatabaseRefused('unwritable', String(error), { cause: error });
    send({ type: 'refused', why: refusal.why, message: refusal.message });
    return undefined;
  }
}

function load(db: LogDatabase): void {
  let rows: LogRecord[] = [];
  for (const row of db.rows()) {
    rows.push(row);
    if (rows.length === rowsPerMessage) {
      send({ type: 'rows', rows });
      rows = [];
    }
  }
  send({ type: 'rows', rows });
  send({ type: 'ready', compactedRevision: db.compactedRevision() });
}

function serve(db: LogDatabase): void {
  let tidying: NodeJS.Immediate | undefined;
  const tidy = () => {
    tidying = undefined;
    try {
      if (db.tidy()) tidying = setImmediate(tidy);
    } catch {
      // Nothing is lost: a checkpoint or vacuum that found no space is tried again after the next commit.
    }
  };
  port?.on('message', (message: ToLogThread) => {
    if (message.type === 'close') {
      clearImmediate(tidying);
      db.close();
      send({ type: 'closed' });
      port.close();
      return;
    }
    commit(db, message.batch);
    tidying ??= setImmediate(tidy);
  });
}

function commit(db: LogDatabase, batch: Batch): void {
  const start = performance.now();
  try {
    db.commit(batch);
    send({ type: 'committed', commitMs: performance.now() - start });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    send({ type: 'failed', why: isDiskFull(error) ? 'full' : 'failed', message });
  }
}
