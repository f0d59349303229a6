/** How a check reaches into a container: its command, and its ports. The containerizer's `exec` and `dial`, bound to one container. */
import type { Duplex } from 'node:stream';
import type { HostPort, TaskContainer } from '../../crds/types.generated.ts';
import type { Containerizer, ExecSession } from '../containerizers/containerizer.ts';

export interface CheckTarget {
  /** In the container's namespaces, cgroups and environment, without input and terminal. */
  exec(argv: string[], env?: Record<string, string>): Promise<ExecSession>;
  /** A TCP connection to a port of the container's own loopback. Rejects with an error whose `code` is that of a failed connect. */
  dial(port: number, signal: AbortSignal): Promise<Duplex>;
}

export function targetOf(containerizer: Containerizer, containerId: string): CheckTarget {
  return {
    exec: (argv, env) => containerizer.exec({ containerId, argv, ...(env && { env }), tty: false, stdin: false }),
    async dial(port, signal) {
      if (!containerizer.dial) throw new Error(`the ${containerizer.name} containerizer cannot connect to ports`);
      return containerizer.dial(containerId, port, undefined, signal);
    },
  };
}

/** Which port a `portName` means: the host's with host networking, the container's own otherwise. Undefined when there is no such port. */
export function portNamed(
  name: string,
  container: TaskContainer,
  { hostNetwork, hostPorts = [] }: { hostNetwork: boolean; hostPorts?: HostPort[] },
): number | undefined {
  const declared = container.ports?.find((port) => port.name === name);
  if (!declared) return undefined;
  const bound = hostPorts.find(
    (port) => port.name === name && (port.container === undefined || port.container === container.name),
  );
  const hostPort = bound?.hostPort ?? (declared.hostPort || undefined);
  return hostNetwork ? (hostPort ?? declared.containerPort) : (declared.containerPort ?? hostPort);
}
