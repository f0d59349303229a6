/** The disks that hold volumes: the root disk and those of Agent.spec.disks, as they are now. */
import { realpath, stat, statfs } from 'node:fs/promises';
import { formatBytes, parseBytes } from '../../../crds/quantity.ts';
import type { AgentDisk, AgentDiskStatus } from '../../../crds/types.generated.ts';
import type { ProjectQuota } from '../../disk/project-quota.ts';
import { isMountPoint } from '../../volumes/mounts.ts';

export interface Disk {
  /** Absent: the root disk. */
  name?: string;
  type: 'Root' | 'Path' | 'Mount';
  /** Directory that volumes are in; with Mount the volume itself. */
  path: string;
  capacityBytes?: number;
  /** Whether the file system keeps project limits. */
  quota?: boolean;
  /** Why nothing can be put on it now. */
  problem?: string;
}

export interface DiskPlaces {
  /** Directory of the root disk's volumes. */
  root: string;
  /** Tepui's data directory. */
  dataDir: string;
}

/** Under this name the root disk is in the status. */
export const ROOT_DISK = 'root';

/** Looks at each of them; the root disk first. Never rejects: what is wrong with a disk is its `problem`. */
export async function inspectDisks(
  declared: readonly AgentDisk[],
  { root, dataDir }: DiskPlaces,
  quota: ProjectQuota,
): Promise<Disk[]> {
  const disks: Disk[] = [await measured({ type: 'Root', path: root }, quota)];
  const seen = new Set<string>();
  for (const { name, type, path, size } of declared) {
    const disk: Disk = { name, type, path };
    const problem = seen.has(path) ? 'another disk has this path' : await problemOf(disk, dataDir);
    seen.add(path);
    if (problem !== undefined) {
      disks.push({ ...disk, problem });
      continue;
    }
    const found = await measured(disk, quota);
    const wanted = size === undefined ? undefined : parseBytes(size);
    if (wanted !== undefined && found.capacityBytes !== undefined && wanted > found.capacityBytes)
      disks.push({ ...found, problem: `size: the file system has only ${formatBytes(found.capacityBytes)}` });
    else disks.push({ ...found, ...(wanted !== undefined && { capacityBytes: wanted }) });
  }
  return disks;
}

/** As Agent.status shows them. `allocatedOn`: bytes promised to volumes. Pure. */
export function diskStatuses(
  disks: readonly Disk[],
  allocatedOn: (name: string | undefined) => number,
): AgentDiskStatus[] {
  const names = new Set(disks.map(({ name }) => name));
  return disks
    .filter(({ name }) => name !== undefined || !names.has(ROOT_DISK))
    .map(({ name, capacityBytes, quota, problem }) => ({
      name: name ?? ROOT_DISK,
      ...(capacityBytes !== undefined && { capacity: formatBytes(capacityBytes) }),
      allocated: formatBytes(allocatedOn(name)),
      ...(quota !== undefined && { quota }),
      ...(problem !== undefined && { message: problem }),
    }));
}

async function problemOf({ type, path }: Disk, dataDir: string): Promise<string | undefined> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) return `${path} does not exist`;
  if (real !== path) return `${path} must be given without symbolic links: ${real}`;
  if (!(await stat(path)).isDirectory()) return `${path} is not a directory`;
  if (path === dataDir || path.startsWith(`${dataDir}/`) || dataDir.startsWith(path === '/' ? '/' : `${path}/`))
    return `${path} and the data directory of the agent must not be in each other`;
  if (type === 'Mount' && !(await isMountPoint(path))) return `nothing is mounted at ${path}`;
  return undefined;
}

async function measured(disk: Disk, quota: ProjectQuota): Promise<Disk> {
  try {
    const { blocks, bsize } = await statfs(disk.path);
    return { ...disk, capacityBytes: blocks * bsize, quota: await quota.isSupported(disk.path) };
  } catch (error) {
    return { ...disk, problem: `${disk.path} cannot be looked at: ${(error as Error).message}` };
  }
}
