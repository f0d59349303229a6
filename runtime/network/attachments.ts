/** From a Task and the chains of its networks to what each attachment is told. Pure. */
import type { HostPort, NetworkAttachment, PortMapping as ShownMapping, Task } from '../../crds/types.generated.ts';
import type { Attachment, Chain } from './cni/chain.ts';
import { capabilitiesOf } from './cni/configuration.ts';

/** The document asks a network for what its plug-ins do not do. The message names the field. */
export class AttachmentImpossible extends Error {
  override name = 'AttachmentImpossible';
}

/** As plug-ins are told. */
export interface PortMapping {
  hostPort: number;
  containerPort: number;
  protocol: 'tcp' | 'udp';
}

/** The mappings as Task.status shows them. Pure. */
export function shownMappings(mappings: PortMapping[]): ShownMapping[] {
  return mappings.map(({ protocol, ...ports }) => ({ ...ports, protocol: protocol === 'udp' ? 'UDP' : 'TCP' }));
}

/** One attachment per network, in the document's order. `chains` has one for each of them. Throws AttachmentImpossible. */
export function planAttachments(task: Task, groupId: string, chains: Chain[]): Attachment[] {
  const networks = task.spec.network?.networks ?? [];
  const names = interfaceNames(networks);
  const mapper = chains.findIndex((chain) => capabilitiesOf(chain).includes('portMappings'));
  const mappings = portMappings(task);
  if (mapper < 0) refuseUnmapped(task);
  return networks.map((network, index) => {
    const chain = chains[index]!;
    const offered = capabilitiesOf(chain);
    const ips = network.ipAddresses ?? [];
    if (ips.length > 0 && !offered.includes('ips')) {
      throw new AttachmentImpossible(
        `spec.network.networks[${index}].ipAddresses: network "${network.name}" cannot be asked for addresses (no plug-in of it has the capability "ips")`,
      );
    }
    // A host port leads to one place: the first network that can map ports gets them.
    const own = index === mapper ? mappings : [];
    return {
      chain,
      containerId: groupId,
      interfaceName: names[index]!,
      args: cniArgs(task),
      capabilities: {
        ...(own.length > 0 && { portMappings: own }),
        ...(ips.length > 0 && { ips }),
        ...dnsCapability(task),
      },
      extraArgs: extraArgs(network, own),
    };
  });
}

/** What the agent's ports lead to. Allocated ports are in the binding; a port that the document names itself also counts without one. */
export function portMappings(task: Task): PortMapping[] {
  const bound = task.spec.binding?.hostPorts ?? [];
  return task.spec.containers.flatMap((container) =>
    (container.ports ?? []).flatMap((port): PortMapping[] => {
      const isOurs = (candidate: HostPort): boolean =>
        (candidate.container ?? container.name) === container.name && candidate.name === port.name;
      const hostPort = bound.find(isOurs)?.hostPort ?? port.hostPort ?? 0;
      if (hostPort === 0) return [];
      const protocol = port.protocol === 'UDP' ? 'udp' : 'tcp';
      return [{ hostPort, containerPort: port.containerPort ?? hostPort, protocol }];
    }),
  );
}

/** eth0, eth1 ... by place in the list, where the document gives no name. */
export function interfaceNames(networks: NetworkAttachment[]): string[] {
  return networks.map(({ interfaceName }, index) => interfaceName ?? `eth${index}`);
}

/** An allocated port that nobody maps is a number without use, and the network's own addresses serve; one that was asked for must work. */
function refuseUnmapped(task: Task): void {
  for (const container of task.spec.containers) {
    const asked = (container.ports ?? []).find(({ hostPort = 0 }) => hostPort !== 0);
    if (!asked) continue;
    throw new AttachmentImpossible(
      `spec.containers: host port ${asked.hostPort} of "${container.name}" cannot be mapped: none of the task's networks has a plug-in with the capability "portMappings" (portmap)`,
    );
  }
}

/** Plug-ins that know none of these are told to ignore them. */
function cniArgs({ metadata }: Task): string {
  const pairs = {
    IgnoreUnknown: '1',
    TEPUI_NAMESPACE: metadata.namespace ?? '',
    TEPUI_TASK_NAME: metadata.name ?? '',
    TEPUI_TASK_UID: metadata.uid ?? '',
  };
  return Object.entries(pairs)
    .map(([key, value]) => `${key}=${value}`)
    .join(';');
}

function dnsCapability({ spec }: Task): Record<string, unknown> {
  const { nameservers = [], search = [], options = [] } = spec.network?.dns ?? {};
  if (nameservers.length + search.length + options.length === 0) return {};
  return { dns: { servers: nameservers, searches: search, options } };
}

/** As the CNI conventions have it, and as Mesos passed it to plug-ins that were made for it. */
function extraArgs(
  { name, labels = [], ipAddresses = [] }: NetworkAttachment,
  mappings: PortMapping[],
): Record<string, unknown> {
  return {
    cni: {
      labels: labels.map(({ key, value = '' }) => ({ key, value })),
      ...(ipAddresses.length > 0 && { ips: ipAddresses }),
    },
    'org.apache.mesos': {
      network_info: {
        name,
        labels: { labels },
        ip_addresses: ipAddresses.map((ip) => ({ ip_address: ip.replace(/\/\d+$/, '') })),
        port_mappings: mappings.map(({ hostPort, containerPort, protocol }) => ({
          host_port: hostPort,
          container_port: containerPort,
          protocol,
        })),
      },
    },
  };
}
