/** `tepui down`: ends every task of a data directory and takes away what the agent made outside of it. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Logger } from 'pino';
import { type CheckpointDirectory, openCheckpointDirectory } from '../checkpoint/directory.ts';
import type { Containerizer, Termination } from '../containerizers/containerizer.ts';
import { unmountLoopFile } from '../disk/loop-file.ts';
import { openNetworks } from '../network/index.ts';
import { leaveDelegatedCgroup } from '../rootless/leave.ts';
import { openDirectory } from '../volumes/anchored.ts';
import { mountsBelow, unmount } from '../volumes/mounts.ts';
import { removeTree } from '../volumes/remove-tree.ts';
import type { DiskLimits } from './disk-limits/disk-limits.ts';
import { openDiskParts } from './disk-limits/open.ts';
import { endLaunchers, openContainerizer, removeCgroupRoots } from './node/containerizer.ts';
import { readPrograms } from './node/containerizer-programs.ts';
import { readBootId } from './node/identity.ts';
import { lockInstance } from './node/lock.ts';
import { type AgentPaths, preparePaths } from './node/paths.ts';
import { endOfTermination, lostEnd } from './tasks/container-end.ts';
import { taskOutcome } from './tasks/outcome.ts';
import {
  type ContainerRecord,
  containerIdOf,
  expectedContainerIds,
  TASK_RECORD,
  type TaskRecord,
} from './tasks/record.ts';
import { upgradeRecord } from './tasks/record-upgrade.ts';
import { beginKill, type EndedRun, noteEnds, settled } from './tasks/steps.ts';
import { openIdentities } from './volumes/identities.ts';

export interface CleanupOptions {
  dataDir: string;
  logger: Logger;
  runtimeRoot?: string;
  containerizer?: Containerizer;
  /** Also removes what would be of use to a later agent of this data directory. Default: none of it. */
  remove?: { sandboxes?: boolean; images?: boolean; fetched?: boolean };
  /** Told of each task that is ended. */
  onTask?: (task: { namespace: string; name: string }) => void;
}

const movedPrefix = '.removing-';

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
  const lock = lockInstance(paths);
  try {
    const containerizer =
      options.containerizer ??
      (await openContainerizer(paths, logger, { spec: () => undefined, ...(await readPrograms(paths.meta)) }));
    const records = await openCheckpointDirectory<TaskRecord>(paths.taskRecords, TASK_RECORD, { strict: false });
    const live = [...(await records.load()).values()]
      .map(upgradeRecord)
      .filter(({ phase, groupId }) => phase !== 'Cleaned' && groupId !== '');
    const bootId = await readBootId();
    const found: Found = new Map(
      (await containerizer.recover(live.flatMap(expectedContainerIds))).map((entry) => [entry.containerId, entry]),
    );
    let ended = 0;
    await Promise.all(
      live.map(async (task) => {
        const isRunning = expectedContainerIds(task).some((id) => found.get(id)?.running);
        const record = isRunning ? await beginEnd(records, task) : task;
        if (isRunning) {
          ended += 1;
          options.onTask?.(record);
        }
        const ends = await Promise.all(
          record.containers.map((container) => endRun(containerizer, record, container, found)),
        );
        if (record.phase === 'Live') {
          await records.write(record.uid, endedRecord(record, ends.flat(), bootId));
        }
        for (const containerId of expectedContainerIds(record)) await containerizer.destroy(containerId);
        if (record.isGroup) await containerizer.destroyGroup?.(record.groupId);
      }),
    );
    await containerizer.removeOrphans();
    await containerizer.close();
    // Sandboxes that were file systems in files: their logs stay, the mounts go.
    const disk = await openDiskParts({ paths, strict: false, kill: async () => {}, logger });
    await disk.sandboxes.recover([]);
    for (const { path, file } of (await openIdentities(join(paths.meta, 'volumes'), false)).list())
      if (file !== undefined) await unmountLoopFile(path);
    if (options.containerizer === undefined) {
      await endLaunchers(paths);
      await removeCgroupRoots(paths);
    }
    await takeBackNetworks(paths, logger);
    // Mounts first: what is on them is not ours to walk through.
    await unmount((await mountsBelow(paths.runtimeDir)).map(({ path }) => path));
    await rm(paths.runtimeDir, { recursive: true, force: true });
    await removeStored(paths, options.remove ?? {});
    if (options.remove?.sandboxes) await forgetLimits(paths, disk.sandboxes);
    await disk.sandboxes.close();
    await leaveDelegatedCgroup(join('tepui', paths.instance));
    return { ended };
  } finally {
    await lock.release();
  }
}

/**
 * Nothing uses them now. A task can nest directories deeper than a path is long, so the tree is walked by descriptors; what a clean-up that was killed had
 * moved up for that is removed with them.
 */
async function removeStored(paths: AgentPaths, wanted: NonNullable<CleanupOptions['remove']>): Promise<void> {
  const directories = [
    ...(wanted.sandboxes ? [paths.sandboxes] : []),
    ...(wanted.images ? [paths.images] : []),
    ...(wanted.fetched ? [join(paths.root, 'fetcher')] : []),
  ].filter((path) => existsSync(path));
  if (directories.length === 0) return;
  const moved = (await readdir(paths.root)).filter((name) => name.startsWith(movedPrefix));
  const root = await openDirectory(paths.root);
  try {
    for (const name of [...directories.map((path) => basename(path)), ...moved])
      await removeTree(root, name, movedPrefix);
  } finally {
    await root.close();
  }
}

/** Files and project numbers of sandboxes that were just removed. A number is given back on the file system that they were on. */
async function forgetLimits({ sandboxes }: AgentPaths, limits: DiskLimits): Promise<void> {
  await mkdir(sandboxes);
  await limits.recover([]);
  await rmdir(sandboxes);
}

/** All of them: no task is left. Where their plug-ins are is in the records. */
async function takeBackNetworks({ root, runtimeDir }: AgentPaths, logger: Logger): Promise<void> {
  const networks = await openNetworks({ agentDirectory: root, runtimeDir, strict: false, logger });
  await networks.recover([]);
  await networks.close();
}

/** Why it ends is on disk before anything of it does: who finds it half ended, after a kill of this process, goes on with that. */
async function beginEnd(records: CheckpointDirectory<TaskRecord>, record: TaskRecord): Promise<TaskRecord> {
  if (record.phase !== 'Live') return record;
  const killed = beginKill(record, { cause: 'CleanUp', requestedAtMs: Date.now() }, undefined);
  if (killed !== record) await records.write(record.uid, killed);
  return killed;
}

type Found = Map<string, { running: boolean }>;

/** How the container's run ended, after it was ended if it ran; nothing where there is no such run, or its end is noted. */
async function endRun(
  containerizer: Containerizer,
  record: TaskRecord,
  container: ContainerRecord,
  found: Found,
): Promise<EndedRun[]> {
  const { name, run, phase } = container;
  if (phase !== 'Intended' && phase !== 'Launched') return [];
  const containerId = containerIdOf(record, container);
  const entry = found.get(containerId);
  if (entry === undefined) return [{ name, run, end: lostEnd(Date.now()) }];
  const termination = entry.running
    ? await endContainer(containerizer, record, container)
    : await containerizer.wait(containerId);
  return [{ name, run, end: endOfTermination(termination) }];
}

/** Stop signal to all, grace, SIGKILL to all. */
async function endContainer(
  containerizer: Containerizer,
  record: TaskRecord,
  container: ContainerRecord,
): Promise<Termination> {
  const containerId = containerIdOf(record, container);
  const termination = containerizer.wait(containerId);
  if (record.killGraceSeconds > 0) await containerizer.signal(containerId, container.stopSignal);
  if (container.frozen) await containerizer.freeze?.(containerId, false);
  let timer: NodeJS.Timeout | undefined;
  const grace = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), record.killGraceSeconds * 1000);
  });
  const ended = await Promise.race([termination, grace]);
  clearTimeout(timer);
  if (ended !== undefined) return ended;
  await containerizer.signal(containerId, 9);
  return termination;
}

function endedRecord(record: TaskRecord, ends: EndedRun[], bootId: string): TaskRecord {
  const noted = noteEnds(record, ends, bootId);
  return settled(noted, taskOutcome(noted, bootId), Date.now());
}
