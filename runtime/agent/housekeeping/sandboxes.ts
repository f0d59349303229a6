/**
 * Removes sandboxes that nobody needs: of ended tasks by age and disk usage where Agent.spec.housekeeping is set, else those whose Task document is
 * gone. What a sandbox belongs to is known by its record: without one it is left of a task that is forgotten.
 */
import { stat, statfs } from 'node:fs/promises';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import type { AgentHousekeeping } from '../../../crds/types.generated.ts';
import type { TaskContext } from '../tasks/context.ts';
import { dropSandbox } from '../tasks/drop-sandbox.ts';
import { listSandboxes, type SandboxKey, sandboxPath } from '../tasks/sandbox.ts';
import { maxSandboxAgeMs } from './sandbox-age.ts';

/** Mesos: disk_watch_interval. */
const intervalMs = 60_000;
/** The CRD's defaults. */
const defaultRetentionSeconds = 7 * 24 * 3600;
const defaultHeadroom = 0.1;

export interface SandboxHousekeepingOptions {
  context: Pick<TaskContext, 'sandboxRoot' | 'diskLimits'>;
  /** Agent.spec.housekeeping; null: it is not set; undefined: the Agent document is not known yet, so nothing is removed. */
  policy(): AgentHousekeeping | null | undefined;
  /** By group id: Running (or not yet removed) or Ended; absent: no record knows it. */
  states(): Map<string, 'Running' | 'Ended'>;
  logger: Logger;
  /** Share of the disk that is taken. Default: of the file system of the sandboxes. */
  usage?: () => Promise<number>;
  now?: () => number;
}

export interface SandboxHousekeeping {
  /** Looks now; resolves to how many sandboxes were removed. */
  collect(): Promise<number>;
  close(): Promise<void>;
}

export function startSandboxHousekeeping(options: SandboxHousekeepingOptions): SandboxHousekeeping {
  const { logger } = options;
  let running: Promise<number> | undefined;
  const collect = (): Promise<number> => {
    running ??= collectOnce(options)
      .catch((err: unknown) => {
        logger.warn({ err, op: 'housekeeping' }, 'sandboxes could not be looked through; it is tried again');
        return 0;
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  };
  const timer = setInterval(() => void collect(), intervalMs).unref();
  return {
    collect,
    async close() {
      clearInterval(timer);
      await running;
    },
  };
}

async function collectOnce(options: SandboxHousekeepingOptions): Promise<number> {
  const { context, policy, states, logger, now = Date.now, usage = () => usageOf(context.sandboxRoot) } = options;
  const wanted = policy();
  if (wanted === undefined) return 0;
  const known = states();
  const maxAge = wanted === null ? undefined : maxSandboxAgeMs(retentionOf(wanted), await usage());
  let removed = 0;
  for (const key of await listSandboxes(context.sandboxRoot)) {
    const state = known.get(key.groupId);
    // Without a policy the sandbox of an ended task stays as long as its document.
    if (state === 'Running' || (maxAge === undefined && state !== undefined)) continue;
    const age = await ageOf(context.sandboxRoot, key, now());
    if (age === undefined || (maxAge !== undefined && age < maxAge)) continue;
    await dropSandbox(context, key);
    removed += 1;
    logger.info(
      { namespace: key.namespace, name: key.task, containerID: key.groupId, op: 'housekeeping' },
      'a sandbox was removed',
    );
  }
  return removed;
}

function retentionOf({ sandboxRetentionSeconds, diskHeadroom }: AgentHousekeeping) {
  return {
    retentionSeconds: sandboxRetentionSeconds ?? defaultRetentionSeconds,
    diskHeadroom: diskHeadroom ?? defaultHeadroom,
  };
}

/** Since the last change in it, as in Mesos; undefined when it is gone. */
async function ageOf(root: string, key: SandboxKey, now: number): Promise<number | undefined> {
  const found = await stat(sandboxPath(root, key)).catch(() => undefined);
  return found && now - found.mtimeMs;
}

async function usageOf(directory: string): Promise<number> {
  const { blocks, bavail } = await statfs(directory);
  return blocks === 0 ? 0 : 1 - bavail / blocks;
}
