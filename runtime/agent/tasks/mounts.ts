/** From `volumeMounts` to host directories that the containerizer binds. Sources are checked here; targets are the launcher's concern. */
import { chown, mkdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import type { ContainerMount } from '../../containerizers/containerizer.ts';

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
}

type TaskVolume = NonNullable<Task['spec']['volumes']>[number];

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
    const root = await sourceOf(volume, sources);
    const source = mount.subPath === undefined ? root : await belowRoot(root, mount.subPath, mount.name, sources.owner);
    mounts.push({
      source,
      target: mount.mountPath,
      readOnly: mount.readOnly === true || volume.volume?.readOnly === true,
    });
  }
  return mounts;
}

async function sourceOf(volume: TaskVolume, sources: MountSources): Promise<string> {
  if (volume.volume !== undefined) {
    const path = await sources.volumePath(volume.volume.volumeName);
    if (path === undefined)
      throw new MountInvalid(`volume "${volume.volume.volumeName}" is not available on this agent`);
    return path;
  }
  if (volume.hostPath !== undefined) return hostPathSource(volume.hostPath, volume.name);
  if (volume.sandboxPath !== undefined) {
    return belowRoot(sources.sandbox, volume.sandboxPath.path, volume.name, sources.owner);
  }
  throw new MountInvalid(`volume "${volume.name}" has no source`);
}

async function hostPathSource({ path, type }: NonNullable<TaskVolume['hostPath']>, name: string): Promise<string> {
  if (type === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 });
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new MountInvalid(`volume "${name}": host path ${path} does not exist`);
  if (type?.startsWith('Directory') && !found.isDirectory())
    throw new MountInvalid(`volume "${name}": host path ${path} is not a directory`);
  if (type?.startsWith('File') && !found.isFile())
    throw new MountInvalid(`volume "${name}": host path ${path} is not a file`);
  return path;
}

/** Makes the sub-directory if it is missing and refuses one that leads out of the root by a symbolic link. */
async function belowRoot(
  root: string,
  subPath: string,
  name: string,
  owner: { uid: number; gid: number },
): Promise<string> {
  const realRoot = await realpath(root);
  let current = realRoot;
  for (const part of subPath.split('/').filter((segment) => segment !== '' && segment !== '.')) {
    if (part === '..') throw new MountInvalid(`volume "${name}": "${subPath}" must not contain ".."`);
    const next = join(current, part);
    const created = await mkdir(next, { mode: 0o755 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
    if (created) await chown(next, owner.uid, owner.gid);
    current = await realpath(next);
    if (current !== realRoot && !current.startsWith(realRoot + sep)) {
      throw new MountInvalid(`volume "${name}": "${subPath}" leads out of the volume`);
    }
  }
  return current;
}
