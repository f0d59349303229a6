/** `tepui down`: ends every task of a data directory and takes away what the agent made outside of it. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { openCheckpointDirectory } from '../checkpoint/directory.ts';
import type { Containerizer, Termination } from '../containerizers/containerizer.ts';
import { endLauncher, openContainerizer } from './node/containerizer.ts';
import { readBootId } from './node/identity.ts';
import { lockInstance } from './node/lock.ts';
import { preparePaths } from './node/paths.ts';
import { outcomeOf } from './tasks/outcome.ts';
import { TASK_RECORD, type TaskRecord } from './tasks/record.ts';
import { advance } from './tasks/status.ts';

export interface CleanupOptions {
  dataDir: string;
  logger: Logger;
  runtimeRoot?: string;
  containerizer?: Containerizer;
  /** Told of each task that is ended. */
  onTask?: (task: { namespace: string; name: string }) => void;
}

/** How many tasks were ended. */
export interface CleanupResult {
  ended: number;
}

/**
 * Every running task gets its kill policy: stop signal, grace, SIGKILL. How they ended is kept, so that an agent which is started later on
 * this data directory reports it. Sandboxes and volumes stay. Rejects with AgentAlreadyRunning while an agent is up.
 */
export async function cleanupAgent(options: CleanupOptions): Promise<CleanupResult> {
  const { dataDir, logger } = options;
  // Nothing was ever started here: leave no trace of the question.
  if (!existsSync(join(dataDir, 'agent'))) return { ended: 0 };
  const paths = await preparePaths(dataDir, options.runtimeRoot);
  const lock = await lockInstance(paths.instance, paths.dataDir);
  try {
    const containerizer = options.containerizer ?? (await openContainerizer(paths, logger));
    const records = await openCheckpointDirectory<TaskRecord>(paths.taskRecords, TASK_RECORD, { strict: false });
    const live = [...(await records.load()).values()].filter(
      ({ phase, containerId }) => phase !== 'Cleaned' && containerId !== '',
    );
    const bootId = await readBootId();
    const found = new Map(
      (await containerizer.recover(live.map(({ containerId }) => containerId))).map((entry) => [
        entry.containerId,
        entry,
      ]),
    );
    const running = live.filter(({ containerId }) => found.get(containerId)?.running);
    await Promise.all(
      live.map(async (record) => {
        const isRunning = running.includes(record);
        if (isRunning) options.onTask?.(record);
        const termination = isRunning
          ? await endTask(containerizer, record)
          : found.has(record.containerId)
            ? await containerizer.wait(record.containerId)
            : undefined;
        if (record.phase !== 'Ended')
          await records.write(record.uid, endedRecord(record, isRunning, termination, bootId));
        await containerizer.destroy(record.containerId);
      }),
    );
    await containerizer.close();
    if (options.containerizer === undefined) await endLauncher(paths);
    await rm(paths.runtimeDir, { recursive: true, force: true });
    return { ended: running.length };
  } finally {
    await lock.release();
  }
}

/** Stop signal to all, grace, SIGKILL to all. */
async function endTask(containerizer: Containerizer, record: TaskRecord): Promise<Termination> {
  const termination = containerizer.wait(record.containerId);
  if (record.killGraceSeconds > 0) await containerizer.signal(record.containerId, record.stopSignal);
  let timer: NodeJS.Timeout | undefined;
  const grace = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), record.killGraceSeconds * 1000);
  });
  const ended = await Promise.race([termination, grace]);
  clearTimeout(timer);
  if (ended !== undefined) return ended;
  await containerizer.signal(record.containerId, 9);
  return termination;
}

function endedRecord(
  record: TaskRecord,
  wasRunning: boolean,
  termination: Termination | undefined,
  bootId: string,
): TaskRecord {
  const now = Date.now();
  const kill = wasRunning ? { cause: 'CleanUp' as const, requestedAtMs: now, deadlineMs: now } : record.kill;
  const killed = { ...record, ...(kill && { kill }) };
  const lost: Termination = {
    containerId: record.containerId,
    oomKilled: false,
    finishedAt: new Date(now),
    lost: true,
  };
  return {
    ...killed,
    phase: 'Ended',
    report: advance(record.report, outcomeOf(killed, termination ?? lost, bootId), now),
  };
}
