import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Judge } from '../../../runtime/checks/judge.ts';
import {
  beginCheck,
  type CheckEffect,
  type CheckEvent,
  type CheckMachine,
  type CheckState,
  stepCheck,
} from '../../../runtime/checks/machine.ts';
import type { ProbeResult } from '../../../runtime/checks/result.ts';

const result = (outcome: ProbeResult['outcome'] = 'Success'): ProbeResult => ({ outcome, message: '', latencyMs: 1 });

/** Reports every result; `Failure` ends the check. */
const every: Judge<number> = {
  initial: 0,
  judge: (count, { outcome, message, latencyMs }) => ({
    state: count + 1,
    report: { kind: 'Readiness', ready: outcome === 'Success', message, latencyMs },
    done: outcome === 'Failure',
  }),
};

const machine: CheckMachine<number> = {
  timing: { delayMs: 15_000, intervalMs: 10_000, timeoutMs: 20_000 },
  judge: every,
  launchedMs: 0,
};

/** A check with a clock, driven by hand. */
function drive(of: CheckMachine<number> = machine) {
  let { state, effects } = beginCheck(of);
  return {
    get state(): CheckState<number> {
      return state;
    },
    get effects(): CheckEffect[] {
      return effects;
    },
    at(nowMs: number, event: CheckEvent): CheckEffect[] {
      ({ state, effects } = stepCheck(of, state, event, nowMs));
      return effects;
    },
  };
}

describe('times', () => {
  test('the first attempt comes after the delay, the next one an interval after the end of the one before', () => {
    const check = drive();
    expect(check.effects).toEqual([{ type: 'WakeAt', timeMs: 15_000 }]);
    expect(check.at(14_999, { type: 'Tick' })).toEqual([{ type: 'WakeAt', timeMs: 15_000 }]);
    expect(check.at(15_000, { type: 'Tick' })).toEqual([
      { type: 'Probe', attempt: 1 },
      { type: 'WakeAt', timeMs: 35_000 },
    ]);
    expect(check.at(18_000, { type: 'Result', attempt: 1, result: result() })).toEqual([
      { type: 'WakeAt', timeMs: 28_000 },
      { type: 'Report', report: expect.objectContaining({ ready: true }) },
    ]);
    expect(check.at(28_001, { type: 'Tick' })[0]).toEqual({ type: 'Probe', attempt: 2 });
  });

  test('an attempt that takes too long is ended and judged as a timeout; what it says later is dropped', () => {
    const check = drive();
    check.at(15_000, { type: 'Tick' });
    expect(check.at(34_999, { type: 'Tick' })).toEqual([{ type: 'WakeAt', timeMs: 35_000 }]);
    expect(check.at(35_000, { type: 'Tick' })).toEqual([
      { type: 'Cancel', attempt: 1 },
      { type: 'WakeAt', timeMs: 45_000 },
      {
        type: 'Report',
        report: { kind: 'Readiness', ready: false, message: 'no result within 20 s', latencyMs: 20_000 },
      },
    ]);
    expect(check.at(36_000, { type: 'Result', attempt: 1, result: result() })).toEqual([]);
    expect(check.state.verdict).toBe(1);
  });

  test('without a timeout an attempt may take for ever', () => {
    const check = drive({ ...machine, timing: { ...machine.timing, timeoutMs: Number.POSITIVE_INFINITY } });
    expect(check.at(15_000, { type: 'Tick' })).toEqual([{ type: 'Probe', attempt: 1 }]);
    expect(check.at(1e9, { type: 'Tick' })).toEqual([]);
    expect(check.at(1e9, { type: 'Result', attempt: 1, result: result() })).toHaveLength(2);
  });

  test('what could not be carried out is not judged, and tried again after the interval', () => {
    const check = drive();
    check.at(15_000, { type: 'Tick' });
    expect(check.at(16_000, { type: 'Result', attempt: 1, result: result('Undone') })).toEqual([
      { type: 'WakeAt', timeMs: 26_000 },
    ]);
    expect(check.state.verdict).toBe(0);
  });
});

describe('pause', () => {
  test('ends the attempt under way and drops its result; after it the next attempt is made at once', () => {
    const check = drive();
    check.at(15_000, { type: 'Tick' });
    expect(check.at(16_000, { type: 'Pause' })).toEqual([{ type: 'Cancel', attempt: 1 }]);
    expect(check.at(16_001, { type: 'Result', attempt: 1, result: result() })).toEqual([]);
    expect(check.at(99_000, { type: 'Tick' })).toEqual([]);
    expect(check.at(99_001, { type: 'Resume' })).toEqual([{ type: 'WakeAt', timeMs: 99_001 }]);
    expect(check.at(99_001, { type: 'Tick' })[0]).toEqual({ type: 'Probe', attempt: 2 });
    expect(check.at(99_002, { type: 'Resume' })).toEqual([]);
  });
});

test('a check that is done, or stopped, does nothing any more', () => {
  const done = drive();
  done.at(15_000, { type: 'Tick' });
  expect(done.at(15_001, { type: 'Result', attempt: 1, result: result('Failure') })).toEqual([
    { type: 'Report', report: expect.objectContaining({ ready: false }) },
  ]);
  const stopped = drive();
  stopped.at(15_000, { type: 'Tick' });
  expect(stopped.at(15_001, { type: 'Stop' })).toEqual([{ type: 'Cancel', attempt: 1 }]);
  for (const check of [done, stopped]) {
    for (const event of [{ type: 'Tick' }, { type: 'Pause' }, { type: 'Resume' }, { type: 'Stop' }] as CheckEvent[]) {
      expect(check.at(99_000, event)).toEqual([]);
    }
  }
});

test('whatever happens, there is one attempt at a time, none too early, none while paused or ended, and always a next step', () => {
  const event = fc.oneof(
    { weight: 6, arbitrary: fc.constant<CheckEvent>({ type: 'Tick' }) },
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant('Result' as const),
        // Also of attempts that are over, or have not been made.
        attempt: fc.integer({ min: 0, max: 12 }),
        result: fc.constantFrom(result('Success'), result('Timeout'), result('Undone'), result('Failure')),
      }),
    },
    fc.constant<CheckEvent>({ type: 'Pause' }),
    fc.constant<CheckEvent>({ type: 'Resume' }),
    { weight: 1, arbitrary: fc.constant<CheckEvent>({ type: 'Stop' }) },
  );
  const steps = fc.array(fc.tuple(event, fc.integer({ min: 0, max: 30_000 })), { maxLength: 80 });
  const timing = fc.record({
    delayMs: fc.integer({ min: 0, max: 20_000 }),
    intervalMs: fc.integer({ min: 10, max: 20_000 }),
    timeoutMs: fc.oneof(fc.integer({ min: 1, max: 30_000 }), fc.constant(Number.POSITIVE_INFINITY)),
  });
  fc.assert(
    fc.property(timing, steps, fc.integer({ min: -50_000, max: 50_000 }), (each, list, notBeforeMs) => {
      const of: CheckMachine<number> = { timing: each, judge: every, launchedMs: 0 };
      let { state, effects } = beginCheck(of, notBeforeMs);
      let nowMs = 0;
      let running: number | undefined;
      let last = 0;
      let endedMs = Number.NEGATIVE_INFINITY;
      let resumed = false;
      let wake: number | undefined;
      let quiet = false;
      const absorb = (): void => {
        for (const effect of effects) {
          expect(quiet).toBe(false);
          if (effect.type === 'Probe') {
            expect(running).toBeUndefined();
            expect(effect.attempt).toBe(last + 1);
            if (!resumed) expect(nowMs).toBeGreaterThanOrEqual(Math.max(of.timing.delayMs, notBeforeMs));
            if (!resumed) expect(nowMs - endedMs).toBeGreaterThanOrEqual(of.timing.intervalMs);
            [running, last, resumed] = [effect.attempt, effect.attempt, false];
          } else if (effect.type === 'Cancel') {
            expect(effect.attempt).toBe(running);
            [running, endedMs] = [undefined, nowMs];
          } else if (effect.type === 'WakeAt') {
            expect(Number.isFinite(effect.timeMs)).toBe(true);
            wake = effect.timeMs;
          }
        }
        // Something always happens next: a timer, or the result of an attempt that has no deadline.
        const { name } = state.phase;
        if (name === 'Waiting') expect(wake).toBe(state.phase.name === 'Waiting' ? state.phase.dueMs : undefined);
        if (name === 'Probing') expect(running).toBe(state.attempt);
        else expect(running).toBeUndefined();
        if (name === 'Ended') quiet = true;
      };
      absorb();
      for (const [next, elapsed] of list) {
        nowMs += elapsed;
        const before = state.phase.name;
        if (next.type === 'Resume' && before === 'Paused') resumed = true;
        ({ state, effects } = stepCheck(of, state, next, nowMs));
        if (next.type === 'Result' && next.attempt === running && before === 'Probing')
          [running, endedMs] = [undefined, nowMs];
        if (before === 'Paused' && next.type !== 'Resume') expect(effects).toEqual([]);
        const reports = effects.flatMap((effect) => (effect.type === 'Report' ? [effect.report] : []));
        expect(reports.length).toBeLessThanOrEqual(1);
        absorb();
      }
    }),
    { numRuns: 2000 },
  );
});
