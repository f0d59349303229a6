/** What the endpoint sees of tasks. */
import type { Containerizer } from '../../containerizers/containerizer.ts';
import type { EndpointContainer, EndpointTask, TasksSource } from '../endpoint/tasks-source.ts';
import type { TaskManager } from './manager.ts';
import type { TaskRunner } from './runner.ts';

export function tasksSource(manager: TaskManager, containerizer: Containerizer): TasksSource {
  return {
    list: () => [...manager.runners()].flatMap((runner) => describe(runner) ?? []),
    find(namespace, name) {
      const runner = manager.find(namespace, name);
      return runner && describe(runner);
    },
    usage: (containerId) => containerizer.usage(containerId),
    exec: (request) => containerizer.exec(request),
  };
}

/** undefined for a runner that has neither document nor record any more. */
function describe(runner: TaskRunner): EndpointTask | undefined {
  const { record } = runner;
  const known = runner.document?.metadata ?? record;
  if (known?.namespace === undefined || known.name === undefined) return undefined;
  return {
    namespace: known.namespace,
    name: known.name,
    uid: runner.uid,
    state: record?.report.state ?? 'Staging',
    ...(record?.report.reason && { reason: record.report.reason }),
    ...(record?.containerId && { containerId: record.containerId }),
    ...(record?.sandbox && { sandbox: record.sandbox }),
    isRunning: record?.phase === 'Launched' && runner.container.kind === 'Running',
    ended: runner.whenEnded(),
    containers: describeContainers(runner, runner.whenEnded()),
  };
}

function describeContainers({ record, document, container }: TaskRunner, ended: Promise<void>): EndpointContainer[] {
  const name = record?.containerName ?? document?.spec.containers?.[0]?.name;
  if (name === undefined) return [];
  return [
    {
      name,
      init: false,
      ...(record?.containerId && { containerId: record.containerId }),
      ...(record?.sandbox && { sandbox: record.sandbox }),
      isRunning: record?.phase === 'Launched' && container.kind === 'Running',
      restarts: 0,
      ended,
    },
  ];
}
