/**
 * From `volumeMounts` to host directories that the containerizer binds. Sources are checked here; targets are the launcher's concern.
 *
 * What is in a volume, a sandbox or an allowed host path is made by tasks, which may put a symbolic link in place of a directory at any
 * moment. So nothing is made or given away through a path (ensureBelow), and each mount names its `root`: the launcher looks the source up
 * once more, below it, at the moment of the mount.
 */
import { realpath, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import type { ContainerMount } from '../../containerizers/containerizer.ts';
import { ensureBelow, LeadsOutside } from './below.ts';
import { hostPathSource } from './host-path.ts';
import { isBelow, MountInvalid } from './mount-invalid.ts';

export { MountInvalid } from './mount-invalid.ts';

export interface MountSources {
  /** The mounting container's own sandbox. */
  sandbox: string;
  /** The task's sandbox, which the containers of a group share. Absent: the same as `sandbox`. */
  taskSandbox?: string;
  owner: { uid: number; gid: number };
  /** Host directory of an available Volume of this agent; undefined when there is none. */
  volumePath(volumeName: string): Promise<string | undefined>;
  /** Agent.spec.isolation.allowedHostPaths. */
  allowedHostPaths: string[];
  /** Host directory of a tmpfs volume. Absent, as with the two below: there are no such volumes here. */
  tmpfs?(volume: TaskVolume): Promise<string>;
  /** Host directory of a secret or configMap volume with the files for `owner`. */
  projected?(volume: TaskVolume): Promise<string>;
  /** Unpacked layers of an image volume, the uppermost first. */
  image?(source: NonNullable<TaskVolume['image']>): Promise<string[]>;
}

export type TaskVolume = NonNullable<Task['spec']['volumes']>[number];
type VolumeMount = NonNullable<TaskContainer['volumeMounts']>[number];

/** A place below a directory out of which no link may lead. */
export interface Source {
  root: string;
  below: string;
  /** The agent fills it, and tasks only read it: nothing is made in it. */
  readOnly?: boolean;
}

/** Everybody may write, and remove only his own: containers of one task may have different users. */
const SHARED_MODE = 0o1777;

/** The mounts of one container, in the document's order. Rejects with MountInvalid. */
export async function resolveMounts(
  task: Task,
  container: TaskContainer,
  sources: MountSources,
): Promise<ContainerMount[]> {
  const mounts: ContainerMount[] = [];
  for (const mount of container.volumeMounts ?? []) {
    const volume = task.spec.volumes?.find((candidate) => candidate.name === mount.name);
    if (volume === undefined) throw new MountInvalid(`volumeMounts: spec.volumes has no "${mount.name}"`);
    mounts.push(
      volume.image !== undefined && sources.image !== undefined
        ? imageMount(mount, await sources.image(volume.image))
        : await bindOf(volume, mount, await sourceOf(volume, sources, task), sources),
    );
  }
  return mounts;
}

async function bindOf(
  volume: TaskVolume,
  mount: VolumeMount,
  source: Source,
  { owner }: MountSources,
): Promise<ContainerMount> {
  const { root, below } = source;
  const propagation = propagationOf(volume, mount);
  return {
    source:
      mount.subPath === undefined ? join(root, below) : await subSource(source, mount.subPath, volume.name, owner),
    // The whole machine is not a root out of which anything could lead; a single file can be none.
    ...(root !== '/' && (await stat(root)).isDirectory() && { root }),
    target: mount.mountPath,
    readOnly: mount.readOnly === true || volume.volume?.readOnly === true || source.readOnly === true,
    ...(propagation !== 'None' && { propagation }),
  };
}

/** One layer is a file system already; several become one by overlay. */
function imageMount({ mountPath, subPath, name }: VolumeMount, layers: string[]): ContainerMount {
  if (subPath !== undefined) throw new MountInvalid(`volume "${name}": an image volume cannot be mounted by subPath`);
  const [only] = layers;
  if (layers.length === 1 && only !== undefined) return { source: only, root: only, target: mountPath, readOnly: true };
  return { type: 'overlay', source: layers.join(':'), target: mountPath, readOnly: true };
}

async function sourceOf(volume: TaskVolume, sources: MountSources, task: Task): Promise<Source> {
  if (volume.volume !== undefined) {
    const path = await sources.volumePath(volume.volume.volumeName);
    if (path === undefined)
      throw new MountInvalid(`volume "${volume.volume.volumeName}" is not available on this agent`);
    return { root: await realpath(path), below: '.' };
  }
  if (volume.hostPath !== undefined) return hostPathSource(volume.hostPath, volume.name, sources.allowedHostPaths);
  if (volume.sandboxPath !== undefined) return sandboxSource(volume.sandboxPath, volume.name, sources, task);
  if (volume.tmpfs !== undefined && sources.tmpfs !== undefined)
    return { root: await sources.tmpfs(volume), below: '.' };
  if ((volume.secret !== undefined || volume.configMap !== undefined) && sources.projected !== undefined)
    return { root: await sources.projected(volume), below: '.', readOnly: true };
  throw new MountInvalid(`volume "${volume.name}" has no source that this agent has`);
}

async function sandboxSource(
  { path, type }: NonNullable<TaskVolume['sandboxPath']>,
  name: string,
  { sandbox, taskSandbox, owner }: MountSources,
  { spec }: Task,
): Promise<Source> {
  const isParent = type === 'Parent';
  const root = await realpath(isParent ? (taskSandbox ?? sandbox) : sandbox);
  const isShared = isParent && spec.containers.length + (spec.initContainers?.length ?? 0) > 1;
  const made = await ensure(root, withoutParents(path, name), name, {
    owner,
    ...(isShared && { mode: SHARED_MODE }),
  });
  return { root, below: relative(root, made) };
}

/** What is below a read-only volume must be there; elsewhere it is made. */
async function subSource(
  { root, below, readOnly }: Source,
  subPath: string,
  name: string,
  owner: MountSources['owner'],
): Promise<string> {
  const path = join(below, withoutParents(subPath, name));
  if (!readOnly) return ensure(root, path, name, { owner });
  const real = await realpath(join(root, path)).catch(() => {
    throw new MountInvalid(`volume "${name}" has no "${subPath}"`);
  });
  if (!isBelow(real, root)) throw new MountInvalid(`volume "${name}": "${subPath}" leads out of the volume`);
  return real;
}

/** Makes the sub-directory if it is missing and refuses one that leads out of the root by a symbolic link. */
async function ensure(
  root: string,
  below: string,
  name: string,
  options: Parameters<typeof ensureBelow>[2],
): Promise<string> {
  try {
    return await ensureBelow(root, below, options);
  } catch (error) {
    if (error instanceof LeadsOutside) throw new MountInvalid(`volume "${name}": "${below}" leads out of the volume`);
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR')
      throw new MountInvalid(`volume "${name}": a part of "${below}" is not a directory`);
    throw error;
  }
}

/** The mount may ask for more than the volume, or the volume for all its mounts. */
export function propagationOf(volume: TaskVolume, mount: VolumeMount): NonNullable<VolumeMount['propagation']> {
  const wanted = [mount.propagation, volume.hostPath?.propagation];
  return wanted.find((propagation) => propagation !== undefined && propagation !== 'None') ?? 'None';
}

function withoutParents(path: string, name: string): string {
  if (path.split('/').includes('..')) throw new MountInvalid(`volume "${name}": "${path}" must not contain ".."`);
  return path;
}
