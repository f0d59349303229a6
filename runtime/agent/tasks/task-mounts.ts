/** The mounts of one container, with the sources that this agent has for them. */
import { totalmem } from 'node:os';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { ApiStatusError } from '../../../controllers/machinery/client/errors.ts';
import { parseBytes } from '../../../crds/quantity.ts';
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import type { ContainerMount } from '../../containerizers/containerizer.ts';
import { resourceOf } from '../memory-volumes/follow-object.ts';
import {
  describeProjection,
  type ProjectedObject,
  projectedFiles,
  projectionOf,
  VolumeSourceMissing,
} from '../memory-volumes/projected-files.ts';
import type { TaskContext } from './context.ts';
import { containerResources } from './launch.ts';
import { resolveMounts, type TaskVolume } from './mounts.ts';

/** Secrets and ConfigMaps by the name of the task's volume; undefined where an optional one does not exist. Holds secrets: never logged, never stored. */
export type ProjectedObjects = ReadonlyMap<string, ProjectedObject | undefined>;

export interface MountInputs {
  /** Of the task's run: its containers share what is in memory. */
  groupId: string;
  sandbox: string;
  /** Absent: as `sandbox`. */
  taskSandbox?: string;
  user: { uid: number; gid: number };
  objects: ProjectedObjects;
  /** Pulls an image for the container, and answers with its layers, the uppermost first. */
  image(source: NonNullable<TaskVolume['image']>): Promise<string[]>;
}

/**
 * Reads what the container's secret and configMap volumes show, before anything is made. Rejects with VolumeSourceMissing when something that
 * is not optional does not exist or may not be read (the task fails), or with the client's error when the API is away (worth a retry).
 */
export async function readProjectedObjects(
  client: ApiClient,
  task: Task,
  container: TaskContainer,
): Promise<ProjectedObjects> {
  const objects = new Map<string, ProjectedObject | undefined>();
  for (const volume of mountedVolumes(task, container)) {
    const projection = projectionOf(volume, task.metadata.namespace ?? '');
    if (projection === undefined) continue;
    const { namespace, name } = projection;
    const object = await client.get(resourceOf(projection), { namespace, name }).catch((error: unknown) => {
      const isFinal = error instanceof ApiStatusError && (error.code === 403 || error.code === 404);
      const what = describeProjection(projection);
      throw isFinal ? new VolumeSourceMissing(`the agent cannot read ${what}: ${error.message}`) : error;
    });
    try {
      projectedFiles(projection, object);
    } catch (error) {
      throw error instanceof VolumeSourceMissing
        ? new VolumeSourceMissing(`volume "${volume.name}": ${error.message}`)
        : error;
    }
    objects.set(volume.name, object);
  }
  return objects;
}

/** Makes the sources that are missing. Rejects with MountInvalid, ProjectionInvalid or a system error: the launch failed. */
export function resolveTaskMounts(
  context: TaskContext,
  task: Task,
  container: TaskContainer,
  inputs: MountInputs,
): Promise<ContainerMount[]> {
  const { groupId, sandbox, taskSandbox, user, objects } = inputs;
  const namespace = task.metadata.namespace ?? '';
  return resolveMounts(task, container, {
    sandbox,
    ...(taskSandbox !== undefined && { taskSandbox }),
    owner: user,
    volumePath: (volume) => context.volumes.prepare(namespace, volume, user),
    allowedHostPaths: context.policy().allowedHostPaths,
    tmpfs: (volume) => context.memoryVolumes.tmpfs(groupId, volume.name, tmpfsBytes(task, volume)),
    projected: (volume) =>
      context.memoryVolumes.projected(
        groupId,
        volume.name,
        projectionOf(volume, namespace)!,
        objects.get(volume.name),
        user,
      ),
    image: inputs.image,
  });
}

/** The document's limit; without one half of what the containers of the task may have together, or undefined (half of the machine) when that is unlimited. */
export function tmpfsBytes(task: Task, { tmpfs }: TaskVolume): number | undefined {
  if (tmpfs?.sizeLimit !== undefined) return parseBytes(tmpfs.sizeLimit);
  const limits = task.spec.containers.map((container) => containerResources(container).limits.memBytes ?? Infinity);
  const half = Math.floor(limits.reduce((sum, limit) => sum + limit, 0) / 2);
  return half < totalmem() / 2 ? half : undefined;
}

function mountedVolumes(task: Task, { volumeMounts }: TaskContainer): TaskVolume[] {
  const names = new Set((volumeMounts ?? []).map(({ name }) => name));
  return (task.spec.volumes ?? []).filter(({ name }) => names.has(name));
}
