/** What the containers of a task share: made before the first of them starts, removed after the last is gone. Both are idempotent. */
import type { ContainerNetwork, GroupSpec } from '../../containerizers/containerizer.ts';
import { groupResources } from './launch.ts';
import type { TaskRecord } from './record.ts';
import type { TaskRunner } from './runner.ts';

/** The name under which operations on it go on. */
export const SHARED = '';

export interface SharedParts {
  network?: ContainerNetwork;
}

/** Whether there is anything to make: a container that is alone on the host's network has nothing. */
export function needsShared({ isGroup }: TaskRecord): boolean {
  return isGroup;
}

export async function prepareShared(runner: TaskRunner): Promise<void> {
  const { context } = runner;
  const record = runner.requireRecord();
  const { task, groupId, isGroup, userNamespace } = record;
  const parts: SharedParts = {};
  if (isGroup && task !== undefined) {
    const group: GroupSpec = {
      groupId,
      task,
      ...parts,
      ...(userNamespace && { userNamespace }),
      ...((task.spec.shareCgroups ?? true) && { resources: groupResources(task) }),
    };
    await context.containerizer.prepareGroup?.(group);
  }
  runner.sharedParts = parts;
}

/** After all containers are gone. The record is then Cleaned, in memory: after a crash it is done again, which is cheaper than an fsync. */
export async function removeShared(runner: TaskRunner): Promise<void> {
  const { containerizer, memoryVolumes } = runner.context;
  const { isGroup, groupId } = runner.requireRecord();
  if (isGroup) await containerizer.destroyGroup?.(groupId);
  if (groupId !== '') await memoryVolumes.remove(groupId);
  runner.sharedParts = undefined;
  runner.changeInMemory((record) => ({ ...record, phase: 'Cleaned' }));
}
