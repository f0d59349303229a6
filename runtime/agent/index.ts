/** The agent's public face. */
export { type RunningAgent, startAgent } from './agent.ts';
export { type CleanupOptions, type CleanupResult, cleanupAgent } from './cleanup.ts';
export { AgentNameChanged } from './node/identity.ts';
export { AgentNameTaken } from './node/lease.ts';
export { AgentAlreadyRunning } from './node/lock.ts';
export type { AgentOptions, StartAgent } from './options.ts';
