/**
 * Mesos's generic checks: the result is passed on and not interpreted, and only when it is another one than before. No result in time is a
 * result too: an empty one.
 */
import type { CheckStatus, GenericCheck } from '../../crds/types.generated.ts';
import type { Judge } from './judge.ts';
import type { ProbeResult } from './result.ts';

export interface GenericState {
  shown: CheckStatus;
}

/** As a task with such a check reports it before the first result. */
export function initialCheckStatus(check: GenericCheck): CheckStatus {
  if (check.exec) return { type: 'Exec' };
  if (check.http) return { type: 'HTTP' };
  return { type: check.tcp ? 'TCP' : 'GRPC' };
}

/** `previous`: what an earlier agent process reported of this container. */
export function genericJudge(check: GenericCheck, previous?: { checkStatus?: CheckStatus }): Judge<GenericState> {
  const empty = initialCheckStatus(check);
  return {
    initial: { shown: previous?.checkStatus ?? empty },
    judge(state, result) {
      const checkStatus = { ...empty, ...valueFrom(result, empty.type) };
      if (sameValue(checkStatus, state.shown)) return { state };
      const { message, latencyMs } = result;
      return { state: { shown: checkStatus }, report: { kind: 'Check', checkStatus, message, latencyMs } };
    },
  };
}

function valueFrom({ outcome, exitCode, statusCode }: ProbeResult, type: CheckStatus['type']): Partial<CheckStatus> {
  if (outcome === 'Timeout') return {};
  if (type === 'Exec') return exitCode === undefined ? {} : { exitCode };
  // As in Mesos: no answer at all is an empty result, not a failed one.
  if (type === 'HTTP') return statusCode === undefined ? {} : { statusCode };
  return { succeeded: outcome === 'Success' };
}

function sameValue(one: CheckStatus, other: CheckStatus): boolean {
  return one.exitCode === other.exitCode && one.statusCode === other.statusCode && one.succeeded === other.succeeded;
}
