/** The disk limits of one data directory, with what they stand on. */
import { join } from 'node:path';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import { openProjectIds, type ProjectIds } from '../../disk/project-ids.ts';
import { openProjectQuota, type ProjectQuota } from '../../disk/project-quota.ts';
import type { AgentPaths } from '../node/paths.ts';
import { type DiskLimits, type DiskLimitsOptions, openDiskLimits } from './disk-limits.ts';

export interface DiskParts {
  quota: ProjectQuota;
  projectIds: ProjectIds;
  sandboxes: DiskLimits;
}

export interface DiskPartsOptions extends Pick<DiskLimitsOptions, 'kill' | 'onUsage'> {
  paths: AgentPaths;
  intervalMs?: number;
  strict?: boolean;
  logger: Logger;
}

/** Rejects when what is on disk of earlier limits cannot be read. */
export async function openDiskParts({ paths, strict, ...options }: DiskPartsOptions): Promise<DiskParts> {
  const quota = openProjectQuota();
  const projectIds = await openProjectIds({
    directory: join(paths.meta, 'project-ids'),
    instance: paths.instance,
    quota,
    ...(strict !== undefined && { strict }),
  });
  const sandboxes = await openDiskLimits({
    stateDirectory: join(paths.meta, 'disk-limits'),
    filesDirectory: join(paths.root, 'disk-files'),
    sandboxRoot: paths.sandboxes,
    quota,
    projectIds,
    ...options,
  });
  return { quota, projectIds, sandboxes };
}
