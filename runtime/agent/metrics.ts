/** The agent's Prometheus metrics. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface AgentMetrics {
  registry: Registry;
  launched(durationMs: number): void;
  launchFailed(): void;
  ended(state: string, reason: string | undefined): void;
  deliveryFailed(): void;
  heartbeat(ok: boolean): void;
}

/** Counts of containers are read when they are scraped. */
export function createAgentMetrics(counts: () => Record<string, number>): AgentMetrics {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: 'tepui_agent_tasks',
    help: 'Tasks that the agent has a record of, by state.',
    labelNames: ['state'],
    registers,
    collect() {
      this.reset();
      for (const [state, count] of Object.entries(counts())) this.set({ state }, count);
    },
  });
  const launch = new Histogram({
    name: 'tepui_agent_launch_duration_seconds',
    help: 'From the decision to launch until the command runs.',
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  const failures = new Counter({
    name: 'tepui_agent_launch_failures_total',
    help: 'Launches that did not come to a running command.',
    registers,
  });
  const ends = new Counter({
    name: 'tepui_agent_tasks_ended_total',
    help: 'Tasks that reached a terminal state here, by state and reason.',
    labelNames: ['state', 'reason'],
    registers,
  });
  const undelivered = new Counter({
    name: 'tepui_agent_status_update_failures_total',
    help: 'Status updates that the API server did not acknowledge at once; each is retried.',
    registers,
  });
  const heartbeats = new Counter({
    name: 'tepui_agent_heartbeats_total',
    help: 'Renewals of the Lease.',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['success', 'error']) heartbeats.inc({ result }, 0);
  return {
    registry,
    launched: (durationMs) => launch.observe(durationMs / 1000),
    launchFailed: () => failures.inc(),
    ended: (state, reason) => ends.inc({ state, reason: reason ?? '' }),
    deliveryFailed: () => undelivered.inc(),
    heartbeat: (ok) => heartbeats.inc({ result: ok ? 'success' : 'error' }),
  };
}
