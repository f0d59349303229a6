/** Resource usage of running tasks, read together. */
import type { ResourceStatistics } from '../../containerizers/containerizer.ts';
import type { EndpointTask, TasksSource } from './tasks-source.ts';

export interface TaskStatistics {
  namespace: string;
  name: string;
  containerId: string;
  statistics: ResourceStatistics;
}

/** Tasks that end while they are read are left out. */
export async function readStatistics(source: TasksSource, tasks: EndpointTask[]): Promise<TaskStatistics[]> {
  const read = tasks.map(async ({ namespace, name, containerId, isRunning }): Promise<TaskStatistics[]> => {
    if (!isRunning || containerId === undefined) return [];
    try {
      return [{ namespace, name, containerId, statistics: await source.usage(containerId) }];
    } catch {
      return [];
    }
  });
  return (await Promise.all(read)).flat();
}
