/** The engine's own networks, which tasks name as if they were the agent's, and addresses in them. */
import type { AgentNetwork, NetworkInfo } from '../../../crds/types.generated.ts';
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

/** Of a container in such a network. Pure. */
export function networkInfosOf({ NetworkSettings }: ContainerInspect): NetworkInfo[] {
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
      },
    ];
  });
}
