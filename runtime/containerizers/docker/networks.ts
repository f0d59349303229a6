/** The engine's own networks, which tasks name as if they were the agent's, and addresses in them. */
import type { AgentNetwork, NetworkInfo, PortMapping } from '../../../crds/types.generated.ts';
import { defaultDockerSocket } from './default-socket.ts';
import { connectEngine } from './engine.ts';
import type { ContainerInspect, NetworkSummary } from './engine-types.ts';

/** Modes of spec.network of their own. */
const NOT_TO_BE_NAMED = ['host', 'none'];
/** Drivers with which the engine publishes ports. */
const MAPPING_DRIVERS = ['bridge', 'overlay', 'nat'];

/** Empty while the engine does not answer. */
export async function engineNetworks(socketPath = defaultDockerSocket): Promise<AgentNetwork[]> {
  const found = await connectEngine(socketPath)
    .call<NetworkSummary[]>('GET', '/networks', { timeoutMs: 3000 })
    .catch((): NetworkSummary[] => []);
  return found
    .filter(({ Driver }) => !NOT_TO_BE_NAMED.includes(Driver) && Driver !== 'null')
    .map(({ Name, Driver }) => ({
      name: Name,
      plugins: [`docker/${Driver}`],
      capabilities: MAPPING_DRIVERS.includes(Driver) ? ['portMappings'] : [],
    }));
}

/** Of a container in such a network: it is in one only. Pure. */
export function networkInfosOf({ NetworkSettings }: ContainerInspect): NetworkInfo[] {
  const portMappings = mappingsOf(NetworkSettings?.Ports ?? {});
  return Object.entries(NetworkSettings?.Networks ?? {}).flatMap(([name, network]): NetworkInfo[] => {
    const present = (values: (string | undefined)[]): string[] => values.filter((value) => value) as string[];
    const ipAddresses = present([network.IPAddress, network.GlobalIPv6Address]);
    if (ipAddresses.length === 0) return [];
    const gateways = present([network.Gateway, network.IPv6Gateway]);
    return [
      {
        name,
        ipAddresses,
        ...(gateways.length > 0 && { gateways }),
        ...(network.MacAddress && { macAddress: network.MacAddress }),
        ...(portMappings.length > 0 && { portMappings }),
      },
    ];
  });
}

function mappingsOf(ports: NonNullable<NonNullable<ContainerInspect['NetworkSettings']>['Ports']>): PortMapping[] {
  return Object.entries(ports).flatMap(([inside, published]) => {
    const [containerPort, protocol] = inside.split('/');
    if (protocol !== 'tcp' && protocol !== 'udp') return [];
    const hostPorts = new Set((published ?? []).map(({ HostPort }) => Number(HostPort)));
    return [...hostPorts].map((hostPort) => ({
      hostPort,
      containerPort: Number(containerPort),
      protocol: protocol === 'udp' ? ('UDP' as const) : ('TCP' as const),
    }));
  });
}
