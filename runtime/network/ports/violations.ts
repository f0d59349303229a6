/** Containers with the host's network that listen on ports of the agent's range which they were not given. */
import type { Task } from '../../../crds/types.generated.ts';
import { listeningSockets } from './listening-sockets.ts';
import { openSockets } from './open-sockets.ts';

export interface PortUser {
  containerId: string;
  task: Task;
  pids: number[];
}

/** The first such port of each container that has one. One pass over the socket tables, and over the descriptors of processes only when it is needed. */
export async function findPortViolations(
  users: PortUser[],
  isManaged: (port: number) => boolean,
): Promise<Map<string, number>> {
  const violations = new Map<string, number>();
  const sockets = [...(await listeningSockets())].filter(([, port]) => isManaged(port));
  for (const { containerId, task, pids } of users) {
    const given = givenPorts(task);
    const suspects = new Map(sockets.filter(([, port]) => !given.has(port)));
    if (suspects.size === 0) continue;
    for (const pid of pids) {
      const found = (await openSockets(pid)).find((inode) => suspects.has(inode));
      if (found === undefined) continue;
      violations.set(containerId, suspects.get(found)!);
      break;
    }
  }
  return violations;
}

/** Ports of the whole task: its containers share the network. A port is given for both protocols, as in Mesos. Pure. */
export function givenPorts({ spec }: Task): Set<number> {
  const declared = [...(spec.initContainers ?? []), ...spec.containers].flatMap(({ ports = [] }) =>
    ports.map(({ hostPort = 0 }) => hostPort),
  );
  const bound = (spec.binding?.hostPorts ?? []).map(({ hostPort }) => hostPort);
  return new Set([...declared, ...bound].filter((port) => port !== 0));
}
