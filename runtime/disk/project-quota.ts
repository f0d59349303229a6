/**
 * Project quotas of ext4 and XFS: everything in a directory counts for a number, its project, and the file system refuses what is above the
 * project's limit with EDQUOT. The calls are ioctls, so the launcher's one-shot role `quota` makes them.
 */
import { execFile } from 'node:child_process';
import { statfsSync, statSync } from 'node:fs';
import { promisify } from 'node:util';
import { buildLauncher } from '../launcher/build.ts';
import { inOwnUserNamespace } from '../rootless/state.ts';

/** The message says which step failed, and why. */
export class QuotaFailed extends Error {
  override name = 'QuotaFailed';
}

export interface QuotaUsage {
  usedBytes: number;
  /** 0: none. */
  limitBytes: number;
}

export interface ProjectQuota {
  /** Whether the directory's file system keeps project limits: mounted with `prjquota` (ext4) or `pquota` (XFS). Asked once per file system. */
  isSupported(directory: string): Promise<boolean>;
  /** Limits the directory, with what is in it already. Idempotent; also changes the limit. */
  set(directory: string, project: number, limitBytes: number): Promise<void>;
  /** Of projects on the directory's file system, in their order. */
  get(directory: string, projects: number[]): Promise<QuotaUsage[]>;
  /** Takes the limit of a project away, after its directory is gone. Idempotent. */
  clear(directory: string, project: number): Promise<void>;
}

const run = promisify(execFile);
const timeoutMs = 120_000;
/** linux/magic.h */
const TMPFS_MAGIC = 0x0102_1994;
/** An argument list has room for more. */
const mostProjects = 1000;

export function openProjectQuota({ binary }: { binary?: string } = {}): ProjectQuota {
  const supported = new Map<number, Promise<boolean>>();
  const quota = async (...argv: string[]): Promise<unknown[]> => {
    try {
      const program = binary ?? (await buildLauncher());
      const { stdout } = await run(program, ['quota', ...argv], { env: {}, cwd: '/', timeout: timeoutMs });
      return stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as unknown);
    } catch (error) {
      const { stderr, message } = error as { stderr?: string; message: string };
      throw new QuotaFailed(stderr?.trim().replace(/^tepui-launcher: /, '') || message, { cause: error });
    }
  };
  return {
    isSupported(directory) {
      // It has none, and the device numbers of those that tasks have for a while are used again.
      if (statfsSync(directory).type === TMPFS_MAGIC) return Promise.resolve(false);
      // Quotas are set by root of the machine alone.
      if (inOwnUserNamespace()) return Promise.resolve(false);
      const { dev } = statSync(directory);
      const known =
        supported.get(dev) ?? quota('probe', directory).then(([found]) => (found as { quota: boolean }).quota);
      supported.set(dev, known);
      known.catch(() => supported.delete(dev));
      return known;
    },
    async set(directory, project, limitBytes) {
      await quota('set', directory, String(project), String(Math.ceil(limitBytes)));
    },
    async get(directory, projects) {
      const found: QuotaUsage[] = [];
      for (let start = 0; start < projects.length; start += mostProjects)
        found.push(
          ...((await quota(
            'get',
            directory,
            ...projects.slice(start, start + mostProjects).map(String),
          )) as QuotaUsage[]),
        );
      return found;
    },
    async clear(directory, project) {
      await quota('clear', directory, String(project));
    },
  };
}
