import type { Lease } from '../machinery/client/resources.ts';

/** What was seen of an agent's lease, measured with this process's own clock. */
export interface LeaseView {
  /** Since when the lease has not changed, or has been missing, while we were looking. */
  unchangedForMs: number;
  durationMs: number;
  exists: boolean;
}

/**
 * Says how long ago each agent was heard of.
 *
 * The time in the lease is the agent's and may be wrong, so only its changes count: a lease is as old as the time for which this process
 * has seen it unchanged. A process that has just started, or could not reach the API server for a while, therefore waits a full
 * duration before it gives up anything: in Mesos this is agent_reregister_timeout.
 */
export class LeaseObserver {
  readonly #monotonic: () => number;
  readonly #defaultDurationMs: number;
  readonly #seen = new Map<string, { renewTime: string | undefined; since: number; durationMs: number }>();
  #isBlind = false;

  constructor(monotonic: () => number, defaultDurationMs: number) {
    this.#monotonic = monotonic;
    this.#defaultDurationMs = defaultDurationMs;
  }

  /** Takes what the watch or a read says now; undefined for a lease that does not exist. */
  observe(agent: string, lease: Lease | undefined): void {
    const renewTime = lease?.spec?.renewTime;
    const seconds = lease?.spec?.leaseDurationSeconds;
    const durationMs = seconds === undefined ? this.#defaultDurationMs : seconds * 1000;
    const known = this.#seen.get(agent);
    const since = known && known.renewTime === renewTime ? known.since : this.#monotonic();
    this.#seen.set(agent, { renewTime, since, durationMs });
  }

  /** The first look at an agent counts from now. */
  view(agent: string): LeaseView {
    if (!this.#seen.has(agent)) this.observe(agent, undefined);
    const { renewTime, since, durationMs } = this.#seen.get(agent)!;
    return { unchangedForMs: this.#monotonic() - since, durationMs, exists: renewTime !== undefined };
  }

  /** The watch broke: renewals may have been missed. */
  lostSight(): void {
    this.#isBlind = true;
  }

  /** The API server answered. If we were blind, everything that passed meanwhile counts for nothing; returns whether that was so. */
  regainedSight(): boolean {
    if (!this.#isBlind) return false;
    this.#isBlind = false;
    for (const seen of this.#seen.values()) seen.since = this.#monotonic();
    return true;
  }

  forget(agent: string): void {
    this.#seen.delete(agent);
  }
}
