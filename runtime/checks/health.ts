/**
 * Mesos's health checks. Failures in the grace period, counted from the launch, are ignored until the first success. After that each failure is
 * reported, and the Nth in a row asks for a kill; of the successes only the first, and the first after failures, are reported.
 */
import type { HealthCheck } from '../../crds/types.generated.ts';
import type { Judge, Judgement } from './judge.ts';
import type { ProbeResult } from './result.ts';

export interface HealthState {
  /** No success so far. */
  initializing: boolean;
  consecutiveFailures: number;
  /** What was reported last. */
  reported?: boolean;
}

/**
 * `previous`: what an earlier agent process reported of this container. Its count of failures is not known any more and starts anew.
 */
export function healthJudge(
  { gracePeriodSeconds = 10, consecutiveFailures: most = 3 }: HealthCheck,
  previous: { healthy?: boolean } = {},
): Judge<HealthState> {
  const graceMs = gracePeriodSeconds * 1000;
  return {
    initial: {
      initializing: previous.healthy === undefined,
      consecutiveFailures: 0,
      ...(previous.healthy !== undefined && { reported: previous.healthy }),
    },
    judge(state, result, runningForMs) {
      if (result.outcome === 'Success') return succeeded(state, result);
      if (state.initializing && graceMs > 0 && runningForMs <= graceMs) return { state };
      return failed(state, result, most);
    },
  };
}

function succeeded({ reported }: HealthState, { message, latencyMs }: ProbeResult): Judgement<HealthState> {
  const state = { initializing: false, consecutiveFailures: 0, reported: true };
  if (reported === true) return { state };
  return {
    state,
    report: { kind: 'Health', healthy: true, consecutiveFailures: 0, kill: false, message, latencyMs },
  };
}

function failed(before: HealthState, { message, latencyMs }: ProbeResult, most: number): Judgement<HealthState> {
  const consecutiveFailures = before.consecutiveFailures + 1;
  const kill = most > 0 && consecutiveFailures >= most;
  return {
    state: { ...before, consecutiveFailures, reported: false },
    report: { kind: 'Health', healthy: false, consecutiveFailures, kill, message, latencyMs },
    ...(kill && { done: true }),
  };
}
