/** Looks from time to time how much disk limited directories take: one timer and one `du` for all of them. */
import type { Logger } from '../../../controllers/machinery/logger.ts';
import { loopFileUsage } from '../../disk/loop-file.ts';
import { measureDirectories } from '../../disk/measure-directories.ts';
import type { ProjectQuota } from '../../disk/project-quota.ts';

export interface WatchedDirectory {
  /** Of whom it is told. */
  key: string;
  directory: string;
  limitBytes: number;
  method: 'Quota' | 'File' | 'Usage';
  /** With Quota. */
  project?: number;
  /** A directory of the same file system that stays. */
  fileSystem: string;
}

export interface DiskWatchOptions {
  /** Between two measurements; more where one takes long, so that measuring never takes more than a twentieth of the time. */
  intervalMs: number;
  quota: ProjectQuota;
  /** Told at each measurement that finds more than the limit. */
  onExceeded(directory: WatchedDirectory, usedBytes: number): Promise<void>;
  /** Told of each measurement. */
  onMeasured?(directory: WatchedDirectory, usedBytes: number): void;
  logger: Logger;
}

export interface DiskWatch {
  add(directory: WatchedDirectory): void;
  delete(key: string): void;
  /** At the last measurement; undefined before the first. */
  usedBytes(key: string): number | undefined;
  close(): Promise<void>;
}

const SHARE_OF_TIME = 20;
/**
 * What has a quota is measured as well, every so many intervals: outside of a user namespace the owner of a file may take it out of its
 * project, and the quota with it.
 */
const INTERVALS_BETWEEN_CHECKS = 20;
/** Directories grow while they are measured, and `du` counts what a quota does not: a check does not end anybody for that. */
const CHECK_TOLERANCE = 1.1;

export function createDiskWatch(options: DiskWatchOptions): DiskWatch {
  const watched = new Map<string, WatchedDirectory>();
  const used = new Map<string, number>();
  const closing = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let nextCheckMs = performance.now() + options.intervalMs * INTERVALS_BETWEEN_CHECKS;

  const exceeded = (directory: WatchedDirectory, bytes: number): void => {
    options.onExceeded(directory, bytes).catch((err: unknown) => {
      options.logger.warn({ err, op: 'diskLimit' }, 'a disk limit could not be acted upon; it is tried again');
    });
  };
  const note = (directory: WatchedDirectory, bytes: number): void => {
    if (watched.get(directory.key) !== directory) return;
    used.set(directory.key, bytes);
    options.onMeasured?.(directory, bytes);
    if (directory.method === 'Usage' && bytes > directory.limitBytes) exceeded(directory, bytes);
  };

  const measureByWalking = async (directories: WatchedDirectory[]): Promise<void> => {
    const byPath = new Map(directories.map((directory) => [directory.directory, directory]));
    await measureDirectories(
      [...byPath.keys()],
      (path, bytes) => {
        const directory = byPath.get(path)!;
        if (directory.method === 'Usage') note(directory, bytes);
        else if (watched.has(directory.key) && bytes > directory.limitBytes * CHECK_TOLERANCE)
          exceeded(directory, bytes);
      },
      closing.signal,
    );
  };

  const look = async (): Promise<void> => {
    const all = [...watched.values()];
    const of = (method: WatchedDirectory['method']): WatchedDirectory[] => all.filter((one) => one.method === method);
    for (const directory of of('File')) {
      const usage = await loopFileUsage(directory.directory).catch(() => undefined);
      if (usage !== undefined) note(directory, usage.usedBytes);
    }
    const limited = of('Quota');
    for (const sameFileSystem of Map.groupBy(limited, ({ fileSystem }) => fileSystem).values()) {
      const usages = await options.quota.get(
        sameFileSystem[0]!.fileSystem,
        sameFileSystem.map(({ project }) => project!),
      );
      sameFileSystem.forEach((directory, index) => void note(directory, usages[index]!.usedBytes));
    }
    const isCheck = performance.now() >= nextCheckMs;
    if (isCheck) nextCheckMs = performance.now() + options.intervalMs * INTERVALS_BETWEEN_CHECKS;
    await measureByWalking([...of('Usage'), ...(isCheck ? limited : [])]);
  };

  const schedule = (delayMs: number): void => {
    if (closing.signal.aborted || timer !== undefined || watched.size === 0) return;
    timer = setTimeout(() => {
      const begun = performance.now();
      running = look()
        .catch((err: unknown) => options.logger.warn({ err, op: 'diskLimit' }, 'disk usage could not be measured'))
        .finally(() => {
          timer = undefined;
          schedule(Math.max(options.intervalMs, (performance.now() - begun) * SHARE_OF_TIME));
        });
    }, delayMs);
    timer.unref();
  };

  return {
    add(directory) {
      watched.set(directory.key, directory);
      schedule(options.intervalMs);
    },
    delete(key) {
      watched.delete(key);
      used.delete(key);
    },
    usedBytes: (key) => used.get(key),
    async close() {
      closing.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
