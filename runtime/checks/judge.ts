/** What the results of one kind of check mean. Pure: health.ts, readiness.ts and generic.ts are the three kinds. */
import type { CheckStatus } from '../../crds/types.generated.ts';
import type { ProbeResult } from './result.ts';

/** Something that the task's status should say. One is made only where Mesos would send a status update. */
export type CheckReport =
  | {
      kind: 'Health';
      healthy: boolean;
      /** Failures in a row so far, those of the grace period left out. */
      consecutiveFailures: number;
      /** The container is to be killed, by the task's kill policy. Never again after that: this check has ended. */
      kill: boolean;
      message: string;
      latencyMs: number;
    }
  /** `lastResponse` with `preserveLastResponse` only. No further ones after `ready: true`. */
  | { kind: 'Readiness'; ready: boolean; message: string; latencyMs: number; lastResponse?: string }
  /** `checkStatus` without exitCode, statusCode and succeeded: there is no result (yet, or in time). `time` is for the caller to set. */
  | { kind: 'Check'; checkStatus: CheckStatus; message: string; latencyMs: number };

export interface Judge<State> {
  initial: State;
  /** `runningForMs` is the age of the container. Never called for results that are Undone. */
  judge(state: State, result: ProbeResult, runningForMs: number): Judgement<State>;
}

export interface Judgement<State> {
  state: State;
  report?: CheckReport;
  /** The check has ended. */
  done?: boolean;
}
