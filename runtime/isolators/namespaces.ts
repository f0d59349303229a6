/** Which kernel namespaces the container has of its own. `Host` modes need the agent's permission (see containerizers/native/fields.ts). */
import type { ContainerSpec, Isolator, IsolatorHost, LaunchContribution } from './isolator.ts';

export function namespacesIsolator({ sharedProcess }: Pick<IsolatorHost, 'sharedProcess'>): Isolator {
  return {
    name: 'namespaces',
    contribute(spec) {
      if (spec.groupId !== undefined) return inGroup(spec, sharedProcess(spec.groupId));
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

/** In a task of several containers: IPC of the task, and the network and processes as the document says. */
function inGroup(spec: ContainerSpec, share: { pid: number; startTimeTicks: number }): LaunchContribution {
  const kinds: ('pid' | 'ipc' | 'net')[] = [];
  const sharesPids = spec.container.namespaces?.pid === 'Task';
  if (sharesPids) kinds.push('pid');
  if (hasPrivateIpc(spec)) kinds.push('ipc');
  if (hasNewNetwork(spec)) kinds.push('net');
  return {
    namespaces: { mount: true, uts: true, pid: hasPrivatePids(spec) && !sharesPids, ipc: false, network: false },
    share,
    ...(kinds.length > 0 && { join: [{ op: 'joinNamespace', kinds }] }),
  };
}

export function hasNewNetwork({ task, network }: Pick<ContainerSpec, 'task' | 'network'>): boolean {
  return task.spec.network?.mode === 'None' && network?.namespacePath === undefined;
}

/** Also of the task. */
export function hasPrivatePids({ container }: ContainerSpec): boolean {
  return container.namespaces?.pid !== 'Host';
}

export function hasPrivateIpc({ container }: ContainerSpec): boolean {
  return container.namespaces?.ipc !== 'Host';
}
