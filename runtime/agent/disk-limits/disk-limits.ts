/**
 * Limits on the disk that a container's sandbox takes (resources.limits.disk), whatever containerizer runs it, because the agent makes sandboxes.
 *
 * - Quota: the sandbox is a project of its file system. What is above the limit is refused with EDQUOT.
 * - File: the sandbox is an ext4 in a file of that size, mounted while the container lives. ENOSPC. At the end its logs are copied to the
 *   directory below and the mount goes; the file stays with the sandbox.
 * - Usage: measured every interval, and the container is killed above the limit.
 *
 * A limit is on disk before it is put in force, and is forgotten after everything of it is gone.
 */
import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import { openCheckpointDirectory } from '../../checkpoint/directory.ts';
import { mountLoopFile, removeLoopFile } from '../../disk/loop-file.ts';
import type { ProjectIds } from '../../disk/project-ids.ts';
import type { ProjectQuota } from '../../disk/project-quota.ts';
import { detachSandbox } from './detach-sandbox.ts';
import { createDiskWatch } from './disk-watch.ts';

export type DiskEnforcement = 'Auto' | 'Quota' | 'File' | 'Usage';

export interface SandboxLimit {
  /** Of this run of the container. */
  containerId: string;
  /** The container's sandbox; exists, and nothing of the task is in it yet when this is its first run. */
  sandbox: string;
  owner: { uid: number; gid: number };
  /** Absent: none. */
  limitBytes: number | undefined;
  enforcement: DiskEnforcement;
}

export interface DiskUsage {
  usedBytes?: number;
  limitBytes: number;
}

export interface DiskLimits {
  /** Whether one of these, or the sandboxes, is on a file system with project quota, so that containers could move files between its projects. */
  onProjectQuota(paths: string[]): Promise<boolean>;
  /** Before anything is put into the sandbox. Idempotent. Rejects with DiskLimitImpossible when the limit cannot be kept as asked for. */
  prepare(limit: SandboxLimit): Promise<void>;
  /** Last known; undefined without a limit. */
  usage(containerId: string): DiskUsage | undefined;
  /** Why the container was ended for its disk usage. */
  limitation(containerId: string): { reason: string; message: string; resource: string } | undefined;
  /** Ends the container because of what it wrote elsewhere, with this message as its reason. Not durable. */
  exceeded(containerId: string, message: string): Promise<void>;
  /** The container has ended: no more watching, nothing of it stays mounted. Idempotent. */
  ended(containerId: string): Promise<void>;
  /** Sandboxes at this path or below are about to be removed: nothing is mounted there any more, files are gone. */
  releasing(directory: string): Promise<void>;
  /** They were removed: limits are given back. */
  released(directory: string): Promise<void>;
  /** After a restart: goes on with containers that live and ends the others'. */
  recover(liveContainerIds: Iterable<string>): Promise<void>;
  close(): Promise<void>;
}

export interface DiskLimitsOptions {
  /** Where limits are checkpointed. */
  stateDirectory: string;
  /** Where files of `File` are. On the sandboxes' disk. */
  filesDirectory: string;
  /** Directory of all sandboxes. */
  sandboxRoot: string;
  quota: ProjectQuota;
  projectIds: ProjectIds;
  /** Between two measurements, as Mesos's container_disk_watch_interval. Default 15 s. */
  intervalMs?: number;
  /** Told of each measurement. */
  onUsage?(containerId: string, usage: DiskUsage): void;
  /** Ends every process of the container. */
  kill(containerId: string): Promise<void>;
  logger: Logger;
}

/** The limit cannot be kept as the document asks. The message names the field and the fix. */
export class DiskLimitImpossible extends Error {
  override name = 'DiskLimitImpossible';
}

/** A limit in force, or what is left of one, as it is on disk. */
interface LimitRecord {
  containerId: string;
  sandbox: string;
  limitBytes: number;
  method: 'Quota' | 'File' | 'Usage';
  project?: number;
  file?: string;
  /** Set before the container is killed for it. */
  exceededBytes?: number;
}

const KIND = { kind: 'DiskLimit', version: 1 };
const INTERVAL_MS = 15_000;
const SANDBOX_MODE = 0o750;

export async function openDiskLimits(options: DiskLimitsOptions): Promise<DiskLimits> {
  const { quota, projectIds, sandboxRoot, logger } = options;
  const records = await openCheckpointDirectory<LimitRecord>(options.stateDirectory, KIND, { strict: false });
  /** By the sandbox's path below the root. */
  const known = new Map<string, LimitRecord>();
  for (const record of (await records.load()).values()) known.set(record.sandbox, record);
  const bySandbox = (containerId: string): LimitRecord | undefined =>
    [...known.values()].find((record) => record.containerId === containerId);
  const byContainer = new Map<string, LimitRecord>();
  const elsewhere = new Map<string, string>();

  const save = (record: LimitRecord, durable = true): Promise<void> => {
    known.set(record.sandbox, record);
    return records.write(nameOf(record.sandbox), record, { durable });
  };

  const watch = createDiskWatch({
    intervalMs: options.intervalMs ?? INTERVAL_MS,
    quota,
    async onExceeded({ key: containerId }, usedBytes) {
      const record = byContainer.get(containerId);
      if (record === undefined) return;
      // The reason must not be lost when this process ends between the kill and the report.
      if (record.exceededBytes === undefined) {
        record.exceededBytes = usedBytes;
        await save(record, false);
      }
      logger.info(
        { containerID: containerId, op: 'ContainerLimitationDisk' },
        'a container was ended for going over a limit',
      );
      await options.kill(containerId);
    },
    onMeasured: ({ key, limitBytes }, usedBytes) => options.onUsage?.(key, { usedBytes, limitBytes }),
    logger,
  });

  const methodOf = async ({ enforcement, sandbox }: SandboxLimit): Promise<LimitRecord['method']> => {
    if (enforcement === 'File' || enforcement === 'Usage') return enforcement;
    if (await quota.isSupported(sandbox)) return 'Quota';
    if (enforcement === 'Auto') return 'Usage';
    throw new DiskLimitImpossible(
      'resources.diskEnforcement: "Quota" needs a file system with project quota (ext4 mounted with prjquota, XFS with pquota) ' +
        'below the data directory of this agent; use File or Usage',
    );
  };

  const follow = (record: LimitRecord): void => {
    byContainer.set(record.containerId, record);
    const { containerId, sandbox, limitBytes, method, project } = record;
    const watched = { key: containerId, directory: sandbox, fileSystem: sandboxRoot, limitBytes, method };
    watch.add({ ...watched, ...(project !== undefined && { project }) });
  };

  const forget = async (record: LimitRecord): Promise<void> => {
    await records.remove(nameOf(record.sandbox));
    known.delete(record.sandbox);
  };

  /** Also numbers of sandboxes without a record: a number is on disk before the limit that has it. */
  const releaseProjects = async (which: (sandbox: string) => boolean | Promise<boolean>): Promise<void> => {
    for (const sandbox of projectIds.list()) if (await which(sandbox)) await projectIds.release(sandbox);
  };

  /** What of it outlives its container. */
  const end = async (record: LimitRecord): Promise<void> => {
    watch.delete(record.containerId);
    byContainer.delete(record.containerId);
    if (record.file !== undefined) await detachSandbox(record.sandbox, record.file);
  };

  return {
    async onProjectQuota(paths) {
      for (const path of [sandboxRoot, ...paths]) {
        const directory = (await lstat(path)).isDirectory() ? path : dirname(path);
        if (await quota.isSupported(directory)) return true;
      }
      return false;
    },
    async prepare(limit) {
      const { containerId, sandbox, limitBytes } = limit;
      if (limitBytes === undefined || !Number.isFinite(limitBytes)) return;
      const method = await methodOf(limit);
      const record: LimitRecord = { containerId, sandbox, limitBytes, method };
      if (method === 'Quota') {
        record.project = await projectIds.allocate(sandbox, sandboxRoot);
        await save(record);
        await quota.set(sandbox, record.project, limitBytes);
      } else if (method === 'File') {
        record.file = join(options.filesDirectory, `${nameOf(sandbox)}.img`);
        await save(record);
        await mountLoopFile({
          file: record.file,
          sizeBytes: limitBytes,
          mountPoint: sandbox,
          owner: { ...limit.owner, mode: SANDBOX_MODE },
        });
      } else {
        await save(record, false);
      }
      follow(record);
    },
    usage(containerId) {
      const record = byContainer.get(containerId);
      if (record === undefined) return undefined;
      const usedBytes = watch.usedBytes(containerId);
      return { limitBytes: record.limitBytes, ...(usedBytes !== undefined && { usedBytes }) };
    },
    limitation(containerId) {
      const other = elsewhere.get(containerId);
      if (other !== undefined) return { reason: 'ContainerLimitationDisk', message: other, resource: 'disk' };
      const record = byContainer.get(containerId) ?? bySandbox(containerId);
      if (record?.exceededBytes === undefined) return undefined;
      const message = `the sandbox takes ${mebibytes(record.exceededBytes)}, more than the disk limit of ${mebibytes(record.limitBytes)}`;
      return { reason: 'ContainerLimitationDisk', message, resource: 'disk' };
    },
    async exceeded(containerId, message) {
      elsewhere.set(containerId, message);
      logger.info({ containerID: containerId, op: 'ContainerLimitationDisk' }, message);
      await options.kill(containerId);
    },
    async ended(containerId) {
      elsewhere.delete(containerId);
      const record = byContainer.get(containerId) ?? bySandbox(containerId);
      if (record !== undefined) await end(record);
    },
    async releasing(directory) {
      for (const record of below(known.values(), directory)) {
        await end(record);
        if (record.file !== undefined) await removeLoopFile(record.file);
      }
    },
    async released(directory) {
      await releaseProjects((sandbox) => isAt(directory, sandbox));
      for (const record of below(known.values(), directory)) await forget(record);
    },
    async recover(liveContainerIds) {
      const live = new Set(liveContainerIds);
      for (const record of [...known.values()]) {
        if (live.has(record.containerId)) {
          follow(record);
          continue;
        }
        await end(record);
        if (await exists(record.sandbox)) continue;
        // Its removal was cut short after the sandbox was gone.
        if (record.file !== undefined) await removeLoopFile(record.file);
        if (record.project !== undefined) await projectIds.release(record.sandbox);
        await forget(record);
      }
      await releaseProjects(async (path) => isAt(sandboxRoot, path) && !(await exists(path)));
    },
    close: () => watch.close(),
  };
}

function below(records: Iterable<LimitRecord>, directory: string): LimitRecord[] {
  return [...records].filter(({ sandbox }) => isAt(directory, sandbox));
}

/** The directory itself, or below it. */
function isAt(directory: string, path: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Unique per sandbox, and a name that a file can have. */
function nameOf(sandbox: string): string {
  return createHash('sha256').update(sandbox).digest('hex').slice(0, 32);
}

function mebibytes(bytes: number): string {
  return `${Math.round((bytes / 2 ** 20) * 10) / 10}Mi`;
}
