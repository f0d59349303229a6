/**
 * When a check is attempted, as a pure state machine: event and clock in, next state and effects out. start.ts carries the effects out.
 *
 *   Waiting --Tick at dueMs--> Probing --Result, or Tick at deadlineMs--> Waiting ...        Pause: Paused        Resume: Waiting, due at once
 *                                                                         done, Stop: Ended
 *
 * The clock is any that does not run backwards; times are milliseconds.
 */
import type { CheckReport, Judge } from './judge.ts';
import type { ProbeResult } from './result.ts';
import type { Timing } from './settings.ts';

export type CheckEvent =
  | { type: 'Tick' }
  | { type: 'Result'; attempt: number; result: ProbeResult }
  | { type: 'Pause' }
  | { type: 'Resume' }
  | { type: 'Stop' };

export type CheckEffect =
  /** Starts an attempt, which answers with one Result of its number. */
  | { type: 'Probe'; attempt: number }
  /** Ends an attempt whose result is not wanted any more. */
  | { type: 'Cancel'; attempt: number }
  /** A Tick at this time, in place of any asked for before. */
  | { type: 'WakeAt'; timeMs: number }
  | { type: 'Report'; report: CheckReport };

export type CheckPhase =
  | { name: 'Waiting'; dueMs: number }
  | { name: 'Probing'; startedMs: number; deadlineMs: number }
  | { name: 'Paused' }
  | { name: 'Ended' };

export interface CheckState<Verdict> {
  phase: CheckPhase;
  /** Number of the last attempt. */
  attempt: number;
  verdict: Verdict;
}

export interface CheckMachine<Verdict> {
  timing: Timing;
  judge: Judge<Verdict>;
  /** When the container was launched. */
  launchedMs: number;
}

export interface CheckStep<Verdict> {
  state: CheckState<Verdict>;
  effects: CheckEffect[];
}

/** `notBeforeMs` puts off the first attempt of a check that was running under an earlier agent process. */
export function beginCheck<Verdict>(
  { timing, judge, launchedMs }: CheckMachine<Verdict>,
  notBeforeMs = Number.NEGATIVE_INFINITY,
): CheckStep<Verdict> {
  const dueMs = Math.max(launchedMs + timing.delayMs, notBeforeMs);
  return {
    state: { phase: { name: 'Waiting', dueMs }, attempt: 0, verdict: judge.initial },
    effects: [{ type: 'WakeAt', timeMs: dueMs }],
  };
}

/** Total: an event that does not fit the state changes nothing. */
export function stepCheck<Verdict>(
  machine: CheckMachine<Verdict>,
  state: CheckState<Verdict>,
  event: CheckEvent,
  nowMs: number,
): CheckStep<Verdict> {
  const { phase, attempt } = state;
  if (phase.name === 'Ended') return unchanged(state);
  const cancel: CheckEffect[] = phase.name === 'Probing' ? [{ type: 'Cancel', attempt }] : [];
  switch (event.type) {
    case 'Tick':
      return tick(machine, state, nowMs);
    case 'Result':
      // A result that comes late, or while the check is paused, is dropped.
      if (phase.name !== 'Probing' || event.attempt !== attempt) return unchanged(state);
      return finish(machine, state, event.result, nowMs, []);
    case 'Pause':
      return { state: { ...state, phase: { name: 'Paused' } }, effects: cancel };
    case 'Resume':
      return phase.name === 'Paused' ? wait(state, nowMs, []) : unchanged(state);
    case 'Stop':
      return { state: { ...state, phase: { name: 'Ended' } }, effects: cancel };
  }
}

function tick<Verdict>(machine: CheckMachine<Verdict>, state: CheckState<Verdict>, nowMs: number): CheckStep<Verdict> {
  const { phase } = state;
  if (phase.name === 'Waiting') {
    if (nowMs < phase.dueMs) return { state, effects: [{ type: 'WakeAt', timeMs: phase.dueMs }] };
    const attempt = state.attempt + 1;
    const deadlineMs = nowMs + machine.timing.timeoutMs;
    return {
      state: { ...state, attempt, phase: { name: 'Probing', startedMs: nowMs, deadlineMs } },
      effects: [{ type: 'Probe', attempt }, ...wakeAt(deadlineMs)],
    };
  }
  if (phase.name !== 'Probing') return unchanged(state);
  if (nowMs < phase.deadlineMs) return { state, effects: wakeAt(phase.deadlineMs) };
  const result: ProbeResult = {
    outcome: 'Timeout',
    message: `no result within ${machine.timing.timeoutMs / 1000} s`,
    latencyMs: nowMs - phase.startedMs,
  };
  return finish(machine, state, result, nowMs, [{ type: 'Cancel', attempt: state.attempt }]);
}

function finish<Verdict>(
  { timing, judge, launchedMs }: CheckMachine<Verdict>,
  state: CheckState<Verdict>,
  result: ProbeResult,
  nowMs: number,
  effects: CheckEffect[],
): CheckStep<Verdict> {
  const dueMs = nowMs + timing.intervalMs;
  if (result.outcome === 'Undone') return wait(state, dueMs, effects);
  const { state: verdict, report, done } = judge.judge(state.verdict, result, nowMs - launchedMs);
  const next = done
    ? { state: { ...state, verdict, phase: { name: 'Ended' as const } }, effects }
    : wait({ ...state, verdict }, dueMs, effects);
  // Last: whoever hears it may stop the check.
  return report ? { ...next, effects: [...next.effects, { type: 'Report', report }] } : next;
}

function wait<Verdict>(state: CheckState<Verdict>, dueMs: number, effects: CheckEffect[]): CheckStep<Verdict> {
  return { state: { ...state, phase: { name: 'Waiting', dueMs } }, effects: [...effects, ...wakeAt(dueMs)] };
}

/** A check without a timeout has no deadline to wake at. */
function wakeAt(timeMs: number): CheckEffect[] {
  return Number.isFinite(timeMs) ? [{ type: 'WakeAt', timeMs }] : [];
}

function unchanged<Verdict>(state: CheckState<Verdict>): CheckStep<Verdict> {
  return { state, effects: [] };
}
