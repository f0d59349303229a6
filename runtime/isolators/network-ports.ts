/**
 * Host ports as resources: a container with the host's network that listens on a TCP port of the agent's range which it was not given is ended with
 * ContainerLimitation. Only where the operator wants it (Agent.spec.isolation.enforcePorts); UDP is left alone, since every client has a port there.
 */
import { findPortViolations, givenPorts, type PortUser } from '../network/ports/violations.ts';
import type { Isolator, IsolatorHost, Limitation } from './isolator.ts';

/** As Mesos's --container_ports_watch_interval. */
const INTERVAL_MS = 30_000;

export function networkPortsIsolator(host: IsolatorHost): Isolator {
  const { cgroups, portRanges, specOf, portsIntervalMs = INTERVAL_MS } = host;
  /** Containers that are asked about since the last look. */
  const watched = new Set<string>();
  const limitations = new Map<string, Limitation>();
  let lookedAtMs = 0;
  let looking = false;

  const look = async (): Promise<void> => {
    const ranges = parseRanges(portRanges?.() ?? '');
    const users = [...watched].flatMap((containerId): PortUser[] => {
      const task = specOf?.(containerId)?.task;
      if (task === undefined || (task.spec.network?.mode ?? 'Host') !== 'Host') return [];
      return [{ containerId, task, pids: cgroups.processes(containerId) }];
    });
    watched.clear();
    if (users.length === 0 || ranges.length === 0) return;
    const found = await findPortViolations(users, (port) =>
      ranges.some(([begin, end]) => begin <= port && port <= end),
    );
    for (const { containerId, task } of users) {
      const port = found.get(containerId);
      if (port !== undefined) limitations.set(containerId, limitationOf(port, [...givenPorts(task)]));
    }
  };

  return {
    name: 'network/ports',
    polled: true,
    limitation(containerId) {
      if (!host.policy().enforcePorts) return undefined;
      const known = limitations.get(containerId);
      if (known !== undefined) return known;
      watched.add(containerId);
      const now = performance.now();
      if (!looking && now - lookedAtMs >= portsIntervalMs) {
        looking = true;
        // What could not be read now is read next time.
        const done = (): void => {
          looking = false;
          lookedAtMs = performance.now();
        };
        look().then(done, done);
      }
      return undefined;
    },
    async cleanup(containerId) {
      watched.delete(containerId);
      limitations.delete(containerId);
    },
  };
}

function limitationOf(port: number, given: number[]): Limitation {
  const has = given.length === 0 ? 'it has none' : `it has ${given.sort((a, b) => a - b).join(', ')}`;
  return {
    reason: 'ContainerLimitation',
    resource: 'ports',
    message: `It listens on TCP port ${port}, which it was not given (${has}). Declare it in ports of the container, or listen on $PORT_<NAME>`,
  };
}

/** "31000-31999,80"; Agent.status has been checked by the schema. */
function parseRanges(text: string): [number, number][] {
  return text.split(',').flatMap((part): [number, number][] => {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    return match ? [[Number(match[1]), Number(match[2] ?? match[1])]] : [];
  });
}
