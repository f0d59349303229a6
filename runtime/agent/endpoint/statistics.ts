/** Resource usage of the running containers of tasks, read together. */
import type { ResourceStatistics } from '../../containerizers/containerizer.ts';
import type { EndpointTask, TasksSource } from './tasks-source.ts';

export interface TaskStatistics {
  namespace: string;
  name: string;
  container: string;
  containerId: string;
  statistics: ResourceStatistics;
}

/** Containers that end while they are read are left out. */
export async function readStatistics(source: TasksSource, tasks: EndpointTask[]): Promise<TaskStatistics[]> {
  const containers = tasks.flatMap(({ namespace, name, containers }) =>
    containers.map((container) => ({ ...container, namespace, task: name })),
  );
  const read = containers.map(async ({ namespace, task, name, containerId, isRunning }): Promise<TaskStatistics[]> => {
    if (!isRunning || containerId === undefined) return [];
    try {
      return [{ namespace, name: task, container: name, containerId, statistics: await source.usage(containerId) }];
    } catch {
      return [];
    }
  });
  return (await Promise.all(read)).flat();
}
