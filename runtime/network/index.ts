/** Networks of tasks: CNI, namespaces, name resolution, host ports. */
export type { NetworkDirectory } from './cni/configuration.ts';
export { capabilitiesOf } from './cni/configuration.ts';
export { hostnameOf } from './files/task-files.ts';
export { NetworkSetUpFailed, type Networks, type TaskNetworkSetup } from './networks.ts';
export { DEFAULT_PLUGIN_PATH, type NetworkOptions, openNetworks } from './open-networks.ts';
export { networkProblems } from './problems.ts';
