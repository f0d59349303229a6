/** What the endpoint sees of tasks. */
import type { Containerizer } from '../../containerizers/containerizer.ts';
import { Unsupported } from '../../containerizers/unsupported.ts';
import type { EndpointContainer, EndpointTask, TasksSource } from '../endpoint/tasks-source.ts';
import type { TaskManager } from './manager.ts';
import { containerIdOf } from './record.ts';
import type { TaskRunner } from './runner.ts';
import { memberSandbox } from './sandbox.ts';

export function tasksSource(manager: TaskManager, containerizer: Containerizer): TasksSource {
  return {
    list: () => [...manager.runners()].flatMap((runner) => describe(runner) ?? []),
    find(namespace, name) {
      const runner = manager.find(namespace, name);
      return runner && describe(runner);
    },
    usage: (containerId) => containerizer.usage(containerId),
    exec: (request) => containerizer.exec(request),
    async attach(request) {
      if (!containerizer.attach)
        throw new Unsupported(`the ${containerizer.name} containerizer cannot attach to containers`);
      return containerizer.attach(request);
    },
    async copy(request) {
      if (!containerizer.copy) throw new Unsupported(`the ${containerizer.name} containerizer cannot copy files`);
      return containerizer.copy(request);
    },
    async dial(containerId, port) {
      if (!containerizer.dial) throw new Unsupported(`the ${containerizer.name} containerizer cannot connect to ports`);
      return containerizer.dial(containerId, port);
    },
  };
}

/** undefined for a runner that has neither document nor record any more. */
function describe(runner: TaskRunner): EndpointTask | undefined {
  const { record } = runner;
  const known = runner.document?.metadata ?? record;
  if (known?.namespace === undefined || known.name === undefined) return undefined;
  const containers = describeContainers(runner);
  const first = containers.find(({ init }) => !init);
  return {
    namespace: known.namespace,
    name: known.name,
    uid: runner.uid,
    state: record?.report.state ?? 'Staging',
    ...(record?.report.reason && { reason: record.report.reason }),
    ...(first?.containerId && { containerId: first.containerId }),
    ...(first?.sandbox && { sandbox: first.sandbox }),
    isRunning: first?.isRunning ?? false,
    ended: runner.whenEnded(first?.name),
    containers,
  };
}

function describeContainers(runner: TaskRunner): EndpointContainer[] {
  const { record, document } = runner;
  if (record === undefined) {
    const { initContainers = [], containers = [] } = document?.spec ?? {};
    return [...initContainers, ...containers].map(({ name }, index) => ({
      name,
      init: index < initContainers.length,
      isRunning: false,
      restarts: 0,
      ended: runner.whenEnded(name),
    }));
  }
  return record.containers.map((container) => {
    const { name, init, phase, run } = container;
    const sandbox = record.isGroup ? memberSandbox(record.sandbox, name) : record.sandbox;
    return {
      name,
      init,
      ...(record.groupId !== '' && phase !== 'Waiting' && { containerId: containerIdOf(record, container) }),
      ...(record.sandbox !== '' && { sandbox }),
      isRunning: phase === 'Launched' && runner.views.get(name)?.kind === 'Running',
      restarts: run,
      ended: runner.whenEnded(name),
    };
  });
}
