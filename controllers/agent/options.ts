export interface AgentControllerOptions {
  /** Namespace of the agents' leases. Default: tepui-agent-leases. */
  leaseNamespace?: string;
  /** Duration of a lease that does not say its own. Default: 75000. */
  leaseDurationMs?: number;
  /** Agents that may be given up per second, on average, so that a broken network does not end everything at once. Default: 0.1. */
  removalsPerSecond?: number;
  /** Agents that may be given up at once. Default: 10. */
  removalBurst?: number;
  /** status.allocated is written at most once in this time. Default: 2000. */
  allocatedEveryMs?: number;
}
