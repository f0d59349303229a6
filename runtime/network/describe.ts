/** What tasks can join here, for Agent.status. */
import type { AgentNetwork } from '../../crds/types.generated.ts';
import { type ConfigurationProblem, capabilitiesOf, readNetworkDirectory } from './cni/configuration.ts';
import type { NetworkContext } from './context.ts';

export interface NetworkDescription {
  /** By name; one that cannot be used says why. */
  networks: AgentNetwork[];
  /** Files that define no network. */
  problems: ConfigurationProblem[];
}

/** The schema's limit of a message. */
const LONGEST_MESSAGE = 1024;

export async function describeNetworks({ configDirectory, resolver }: NetworkContext): Promise<NetworkDescription> {
  const { networks, problems } = await readNetworkDirectory(configDirectory);
  const described = await Promise.all(
    [...networks.values()].map(async (network): Promise<AgentNetwork> => {
      const { name } = network;
      const plugins = network.plugins.map(({ type }) => type);
      const capabilities = capabilitiesOf(network);
      try {
        const { cniVersion } = await resolver.resolve(network);
        return { name, cniVersion, plugins, capabilities };
      } catch (error) {
        return { name, plugins, capabilities, message: (error as Error).message.slice(0, LONGEST_MESSAGE) };
      }
    }),
  );
  return { networks: described.sort((a, b) => (a.name < b.name ? -1 : 1)), problems };
}
