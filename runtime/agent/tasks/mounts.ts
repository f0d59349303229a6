/**
 * From `volumeMounts` to host directories that the containerizer binds. Sources are checked here; targets are the launcher's concern.
 *
 * What is in a volume, a sandbox or an allowed host path is made by tasks, which may put a symbolic link in place of a directory at any
 * moment. So nothing is made or given away through a path (ensureBelow), and each mount names its `root`: the launcher looks the source up
 * once more, below it, at the moment of the mount.
 */
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize, relative } from 'node:path';
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import type { ContainerMount } from '../../containerizers/containerizer.ts';
import { ensureBelow, LeadsOutside } from './below.ts';

/** A mount's source is missing or not what the document says. The message names the field. */
export class MountInvalid extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MountInvalid';
  }
}

export interface MountSources {
  sandbox: string;
  owner: { uid: number; gid: number };
  /** Host directory of an available Volume of this agent; undefined when there is none. */
  volumePath(volumeName: string): Promise<string | undefined>;
  /** Agent.spec.isolation.allowedHostPaths. */
  allowedHostPaths: string[];
}

type TaskVolume = NonNullable<Task['spec']['volumes']>[number];
/** A place below a directory out of which no link may lead. */
interface Source {
  root: string;
  below: string;
}

/** The mounts of one container, in the document's order. */
export async function resolveMounts(
  task: Task,
  container: TaskContainer,
  sources: MountSources,
): Promise<ContainerMount[]> {
  const mounts: ContainerMount[] = [];
  for (const mount of container.volumeMounts ?? []) {
    const volume = task.spec.volumes?.find((candidate) => candidate.name === mount.name);
    if (volume === undefined) throw new MountInvalid(`volumeMounts: spec.volumes has no "${mount.name}"`);
    const { root, below } = await sourceOf(volume, sources);
    const source =
      mount.subPath === undefined
        ? join(root, below)
        : await ensure(root, join(below, subPathOf(mount.subPath, mount.name)), volume.name, sources.owner);
    mounts.push({
      source,
      // The whole machine is not a root out of which anything could lead; a single file can be none.
      ...(root !== '/' && (await stat(root)).isDirectory() && { root }),
      target: mount.mountPath,
      readOnly: mount.readOnly === true || volume.volume?.readOnly === true,
    });
  }
  return mounts;
}

async function sourceOf(volume: TaskVolume, sources: MountSources): Promise<Source> {
  if (volume.volume !== undefined) {
    const path = await sources.volumePath(volume.volume.volumeName);
    if (path === undefined)
      throw new MountInvalid(`volume "${volume.volume.volumeName}" is not available on this agent`);
    return { root: await realpath(path), below: '.' };
  }
  if (volume.hostPath !== undefined) return hostPathSource(volume.hostPath, volume.name, sources.allowedHostPaths);
  if (volume.sandboxPath !== undefined) {
    const root = await realpath(sources.sandbox);
    const path = await ensure(root, subPathOf(volume.sandboxPath.path, volume.name), volume.name, sources.owner);
    return { root, below: relative(root, path) };
  }
  throw new MountInvalid(`volume "${volume.name}" has no source`);
}

async function hostPathSource(
  { path, type }: NonNullable<TaskVolume['hostPath']>,
  name: string,
  allowedHostPaths: string[],
): Promise<Source> {
  const allowed = allowedHostPaths.find((directory) => isBelow(path, directory));
  if (allowed === undefined) throw new MountInvalid(`volume "${name}": this agent does not allow host path ${path}`);
  const below = relative(normalize(allowed), normalize(path));
  const missing = new MountInvalid(`volume "${name}": host path ${path} does not exist`);
  const root = await realpath(allowed).catch(() => {
    throw missing;
  });
  if (type === 'DirectoryOrCreate') return { root, below: relative(root, await ensure(root, below, name)) };
  const real = await realpath(join(root, below)).catch(() => {
    throw missing;
  });
  if (!isBelow(real, root)) throw new MountInvalid(`volume "${name}": host path ${path} leads out of ${allowed}`);
  const found = await stat(real);
  if (type?.startsWith('Directory') && !found.isDirectory())
    throw new MountInvalid(`volume "${name}": host path ${path} is not a directory`);
  if (type?.startsWith('File') && !found.isFile())
    throw new MountInvalid(`volume "${name}": host path ${path} is not a file`);
  return { root, below: relative(root, real) };
}

/** Makes the sub-directory if it is missing and refuses one that leads out of the root by a symbolic link. */
async function ensure(
  root: string,
  below: string,
  name: string,
  owner?: { uid: number; gid: number },
): Promise<string> {
  try {
    return await ensureBelow(root, below, owner);
  } catch (error) {
    if (error instanceof LeadsOutside) throw new MountInvalid(`volume "${name}": "${below}" leads out of the volume`);
    throw error;
  }
}

function subPathOf(path: string, name: string): string {
  if (path.split('/').includes('..')) throw new MountInvalid(`volume "${name}": "${path}" must not contain ".."`);
  return path;
}

function isBelow(path: string, directory: string): boolean {
  const between = relative(normalize(directory), normalize(path));
  return between === '' || (between !== '..' && !between.startsWith('../') && !isAbsolute(between));
}
