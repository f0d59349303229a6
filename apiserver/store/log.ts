import { Worker } from 'node:worker_threads';
import type { DatabaseRefused } from './database.ts';
import type { Batch, FromLogThread, LogRecord, LogThreadSettings, ToLogThread } from './record.ts';

/** A transaction was not written; nothing of it is on disk. */
export class CommitFailed extends Error {
  readonly diskFull: boolean;
  constructor(diskFull: boolean, message: string) {
    super(message);
    this.name = 'CommitFailed';
    this.diskFull = diskFull;
  }
}

/** The file cannot be used. `why` is DatabaseRefused's; the class itself stays in the other thread. */
export class LogRefused extends Error {
  readonly why: DatabaseRefused['why'];
  constructor(why: DatabaseRefused['why'], message: string) {
    super(message);
    this.name = 'LogRefused';
    this.why = why;
  }
}

/** The durable log as the server's thread sees it. */
export interface Log {
  /** Resolves with the time it took after fsync. One at a time: the caller waits before it commits again. */
  commit(batch: Batch): Promise<number>;
  close(): Promise<void>;
}

/** Starts the thread, hands every row on disk to `onRows` in revision order, and resolves when the log can be written. */
export async function openLog(
  settings: LogThreadSettings,
  onRows: (rows: LogRecord[]) => void,
): Promise<{ log: Log; compactedRevision: number }> {
  const worker = new Worker(threadUrl(), { workerData: settings, execArgv: [] });
  const compactedRevision = await new Promise<number>((resolve, reject) => {
    const receive = (message: FromLogThread) => {
      if (message.type === 'rows') onRows(message.rows);
      else if (message.type === 'ready') {
        worker.off('message', receive).off('error', reject);
        resolve(message.compactedRevision);
      } else if (message.type === 'refused') reject(new LogRefused(message.why, message.message));
    };
    worker.on('message', receive).on('error', reject);
  });
  return { log: connect(worker), compactedRevision };
}

/** The published package is compiled: then this file ends in .js, and so does its neighbour. */
function threadUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './log-thread.ts' : './log-thread.js', import.meta.url);
}

function connect(worker: Worker): Log {
  let waiting: { resolve: (commitMs: number) => void; reject: (error: Error) => void } | undefined;
  let broken: Error | undefined;
  const settle = (act: (w: NonNullable<typeof waiting>) => void) => {
    const current = waiting;
    waiting = undefined;
    if (current) act(current);
  };
  worker.on('message', (message: FromLogThread) => {
    if (message.type === 'committed') settle((w) => w.resolve(message.commitMs));
    else if (message.type === 'failed')
      settle((w) => w.reject(new CommitFailed(message.why === 'full', message.message)));
  });
  const end = (error: Error) => {
    broken ??= error;
    settle((w) => w.reject(error));
  };
  worker.on('error', (error) => end(new CommitFailed(false, `the store's thread ended: ${String(error)}`)));
  worker.on('exit', () => end(new CommitFailed(false, 'the store is closed')));

  const post = (message: ToLogThread) => worker.postMessage(message);
  return {
    commit(batch) {
      if (broken) return Promise.reject(broken);
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        post({ type: 'commit', batch });
      });
    },
    close() {
      if (broken) return Promise.resolve();
      return new Promise((resolve) => {
        worker.once('exit', () => resolve());
        post({ type: 'close' });
      });
    },
  };
}
