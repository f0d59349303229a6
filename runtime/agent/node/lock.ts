/** One agent per data directory: two would run every task twice. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { AgentPaths } from './paths.ts';

/** Another process is the agent of this data directory. */
export class AgentAlreadyRunning extends Error {
  constructor(dataDir: string) {
    super(`another agent is running on ${dataDir}: stop it first, or use another --data-dir`);
    this.name = 'AgentAlreadyRunning';
  }
}

export interface InstanceLock {
  release(): Promise<void>;
}

/** SQLITE_BUSY of sqlite3.h. */
const busy = 5;

/**
 * Takes the lock or throws AgentAlreadyRunning. It is a lock of the kernel on a file below the data directory, which goes with the process, however
 * that ends, and which nobody can take who cannot reach the directory: tasks never can. Node has no call for file locks, SQLite has: the
 * database stays empty.
 */
export function lockInstance({ meta, dataDir }: Pick<AgentPaths, 'meta' | 'dataDir'>): InstanceLock {
  const path = join(meta, 'lock');
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    chmodSync(path, 0o600);
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw (error as { errcode?: number }).errcode === busy ? new AgentAlreadyRunning(dataDir) : error;
  }
  return { release: async () => database.close() };
}
