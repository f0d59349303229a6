/** What the endpoint may know and do of tasks; the agent provides it. */
import type { Duplex } from 'node:stream';
import type {
  AttachRequest,
  CopyRequest,
  ExecRequest,
  ExecSession,
  ResourceStatistics,
} from '../../containerizers/containerizer.ts';
import type { TaskReport } from '../tasks/status.ts';

/** One container of a task: logs, exec, attach, cp and statistics address it as namespace/task/container. */
export interface EndpointContainer {
  name: string;
  init: boolean;
  /** Of its newest run; absent before the first. */
  containerId?: string;
  /** Holds `stdout` and `stderr` of the newest run, and of the run before a restart in place `stdout.previous` and `stderr.previous`. */
  sandbox?: string;
  isRunning: boolean;
  /** Restarts in place. */
  restarts: number;
  /** Resolves when the container has ended for good, or the task was forgotten. */
  ended: Promise<void>;
}

/** The fields beside `containers` are those of the first container that is no init container. */
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
  /** Init containers first, in the order of the document. */
  containers: EndpointContainer[];
}

/** The container with this name; without one the first that is no init container. */
export function containerOf(task: EndpointTask, name?: string): EndpointContainer | undefined {
  if (name !== undefined) return task.containers.find((container) => container.name === name);
  return task.containers.find((container) => !container.init) ?? task.containers[0];
}

/** As it is sent to clients. */
export function shownTask({ ended: _ended, containers, ...task }: EndpointTask): object {
  return { ...task, containers: containers.map(({ ended: _containerEnded, ...container }) => container) };
}

export interface TasksSource {
  list(): EndpointTask[];
  find(namespace: string, name: string): EndpointTask | undefined;
  usage(containerId: string): Promise<ResourceStatistics>;
  exec(request: ExecRequest): Promise<ExecSession>;
  /** This and the next two reject with Unsupported when the containerizer cannot. */
  attach(request: AttachRequest): Promise<ExecSession>;
  copy(request: CopyRequest): Promise<ExecSession>;
  dial(containerId: string, port: number): Promise<Duplex>;
}

/** The task or container is not here, or has nothing to show. */
export class NotHere extends Error {
  override name = 'NotHere';
}

/** The container that a request is about. Throws NotHere. */
export function requestedContainer(
  source: TasksSource,
  { namespace, name }: { namespace: string; name: string },
  container: string | null,
): EndpointContainer {
  const task = source.find(namespace, name);
  if (task === undefined) throw new NotHere(`task ${namespace}/${name} is not on this agent`);
  const found = containerOf(task, container ?? undefined);
  if (found) return found;
  if (container === null) throw new NotHere(`task ${namespace}/${name} is not running`);
  const names = task.containers.map((each) => each.name).join(', ');
  throw new NotHere(`task ${namespace}/${name} has no container "${container}"; it has ${names}`);
}

/** As above, with an id. Throws NotHere when it is not running. */
export function runningContainer(
  source: TasksSource,
  task: { namespace: string; name: string },
  container: string | null,
): EndpointContainer & { containerId: string } {
  const found = requestedContainer(source, task, container);
  const { containerId, isRunning } = found;
  if (isRunning && containerId !== undefined) return { ...found, containerId };
  const what = container === null ? 'task' : `container "${container}" of task`;
  throw new NotHere(`${what} ${task.namespace}/${task.name} is not running`);
}
