/** Networks of tasks: CNI, namespaces, name resolution. */
export type { NetworkDescription } from './describe.ts';
export { hostnameOf, needsNetwork } from './files/task-files.ts';
export { hostNetworkInfos } from './host-addresses.ts';
export { NetworkSetUpFailed, type Networks, type TaskNetworkSetup } from './networks.ts';
export { type NetworkOptions, openNetworks } from './open-networks.ts';
export { networkProblems } from './problems.ts';
