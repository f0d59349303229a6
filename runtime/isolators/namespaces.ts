/** Which kernel namespaces the container has of its own. `Host` modes need the agent's permission (see containerizers/native/fields.ts). */
import type { ContainerSpec, Isolator } from './isolator.ts';

export function namespacesIsolator(): Isolator {
  return {
    name: 'namespaces',
    contribute(spec) {
      return {
        namespaces: {
          mount: true,
          uts: true,
          pid: hasPrivatePids(spec),
          ipc: hasPrivateIpc(spec),
          network: hasNewNetwork(spec),
        },
      };
    },
  };
}

export function hasNewNetwork({ task, network }: Pick<ContainerSpec, 'task' | 'network'>): boolean {
  return task.spec.network?.mode === 'None' && network?.namespacePath === undefined;
}

/** `Task` means shared by the containers of the task: with one container that is the same as private. */
export function hasPrivatePids({ container }: ContainerSpec): boolean {
  return container.namespaces?.pid !== 'Host';
}

export function hasPrivateIpc({ container }: ContainerSpec): boolean {
  return container.namespaces?.ipc !== 'Host';
}
