/** Which tasks use which Volumes. Pure. */
import type { Task } from '../../../crds/types.generated.ts';
import { containerIdOf } from '../tasks/record.ts';
import type { TaskRunner } from '../tasks/runner.ts';

/** Names of the Volumes that the task's volumes refer to. */
export function volumeNames(task: Task): string[] {
  return (task.spec.volumes ?? []).flatMap((volume) => (volume.volume === undefined ? [] : [volume.volume.volumeName]));
}

/** Whether a container of any of these tasks may have the volume mounted. */
export function isVolumeInUse(runners: Iterable<TaskRunner>, namespace: string, name: string): boolean {
  for (const { record } of runners) {
    const isLive = record !== undefined && record.phase !== 'Cleaned' && record.groupId !== '';
    if (isLive && record.namespace === namespace && record.volumes.includes(name)) return true;
  }
  return false;
}

/** Ids of running containers that have the volume mounted. */
export function containersUsing(runners: Iterable<TaskRunner>, namespace: string, name: string): string[] {
  return [...runners].flatMap(({ record }) => {
    if (record?.task === undefined || record.phase !== 'Live' || record.namespace !== namespace) return [];
    const { volumes = [], containers, initContainers = [] } = record.task.spec;
    const mounted = new Set(volumes.filter(({ volume }) => volume?.volumeName === name).map((volume) => volume.name));
    const users = [...containers, ...initContainers].filter(({ volumeMounts = [] }) =>
      volumeMounts.some((mount) => mounted.has(mount.name)),
    );
    return record.containers
      .filter(({ phase, name: own }) => phase === 'Launched' && users.some((user) => user.name === own))
      .map((container) => containerIdOf(record, container));
  });
}
