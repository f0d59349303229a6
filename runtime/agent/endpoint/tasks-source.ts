/** What the endpoint may know and do of tasks; the agent provides it. */
import type { ExecRequest, ExecSession, ResourceStatistics } from '../../containerizers/containerizer.ts';
import type { TaskReport } from '../tasks/status.ts';

export interface EndpointTask {
  namespace: string;
  name: string;
  uid: string;
  containerId?: string;
  state: TaskReport['state'];
  reason?: string;
  sandbox?: string;
  isRunning: boolean;
  /** Resolves when the container has ended, or the task was forgotten. */
  ended: Promise<void>;
}

export interface TasksSource {
  list(): EndpointTask[];
  find(namespace: string, name: string): EndpointTask | undefined;
  usage(containerId: string): Promise<ResourceStatistics>;
  exec(request: ExecRequest): Promise<ExecSession>;
}
