/** Which containers' turn it is: init containers one after another, then the others as their dependencies say. Pure. */
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import { isCompleted, isDone } from './container-end.ts';
import type { ContainerRecord, TaskRecord } from './record.ts';

/** The container of the document that the record's is about; undefined in records of version 1. */
export function documentContainer(task: Task | undefined, { name, init }: ContainerRecord): TaskContainer | undefined {
  const list = init ? task?.spec.initContainers : task?.spec.containers;
  return list?.find((container) => container.name === name);
}

/** Why a container that has not been started yet has to wait, in a few words; undefined when its turn has come. Restarts do not wait again. */
export function waitsFor(record: TaskRecord, container: ContainerRecord): string | undefined {
  const { containers, task } = record;
  if (container.run > 0) return undefined;
  const earlier = containers.slice(0, containers.indexOf(container)).filter(({ init }) => init);
  const unfinished = earlier.find((init) => !isCompleted(init));
  if (unfinished !== undefined) return `init container "${unfinished.name}"`;
  for (const { name, condition = 'Started' } of documentContainer(task, container)?.dependsOn ?? []) {
    const dependency = containers.find((candidate) => !candidate.init && candidate.name === name);
    if (dependency !== undefined && !isMet(dependency, condition))
      return `container "${name}" to be ${condition.toLowerCase()}`;
  }
  return undefined;
}

/** A container that waits for a health that can no longer come: the other one has finished. */
export function impossibleDependency(record: TaskRecord): { name: string; message: string } | undefined {
  for (const container of record.containers) {
    if (container.phase !== 'Waiting' || container.run > 0) continue;
    for (const { name, condition } of documentContainer(record.task, container)?.dependsOn ?? []) {
      const dependency = record.containers.find((candidate) => !candidate.init && candidate.name === name);
      if (condition === 'Healthy' && dependency !== undefined && isDone(dependency)) {
        return {
          name: container.name,
          message: `it waits for container "${name}" to be healthy, which has finished`,
        };
      }
    }
  }
  return undefined;
}

function isMet(dependency: ContainerRecord, condition: 'Started' | 'Healthy' | 'Completed'): boolean {
  switch (condition) {
    case 'Started':
      return dependency.wasStarted === true;
    case 'Healthy':
      return dependency.phase === 'Launched' && dependency.health?.healthy === true;
    case 'Completed':
      return isCompleted(dependency);
  }
}
