import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { HealthCheck } from '../../../crds/types.generated.ts';
import { healthJudge } from '../../../runtime/checks/health.ts';
import type { CheckReport } from '../../../runtime/checks/judge.ts';

type Health = Extract<CheckReport, { kind: 'Health' }>;

/** Judges `s`uccesses, `f`ailures and `t`imeouts, one a second from the first second on; what is reported, as [second, healthy, failures, kill]. */
function reports(check: HealthCheck, results: string, previous?: { healthy?: boolean }, start = 1): unknown[] {
  const { initial, judge } = healthJudge(check, previous);
  const told: unknown[] = [];
  let state = initial;
  for (const [index, letter] of [...results].entries()) {
    const outcome = letter === 's' ? 'Success' : letter === 't' ? 'Timeout' : 'Failure';
    const second = start + index;
    const judgement = judge(state, { outcome, message: 'm', latencyMs: 1 }, second * 1000);
    state = judgement.state;
    const report = judgement.report as Health | undefined;
    if (report) told.push([second, report.healthy, report.consecutiveFailures, report.kill]);
    if (judgement.done) return told;
  }
  return told;
}

test('only the first success is told, and the first one after failures', () => {
  expect(reports({}, 'sss')).toEqual([[1, true, 0, false]]);
  expect(reports({}, 'sfss')).toEqual([
    [1, true, 0, false],
    [2, false, 1, false],
    [3, true, 0, false],
  ]);
});

test('each failure is told, a timeout is one, and the third in a row asks for the kill and ends the check', () => {
  expect(reports({}, 'sftfs')).toEqual([
    [1, true, 0, false],
    [2, false, 1, false],
    [3, false, 2, false],
    [4, false, 3, true],
  ]);
});

test('a success starts the count anew', () => {
  expect(reports({ consecutiveFailures: 2 }, 'sfsfsff').map((each) => (each as number[])[3])).toEqual([
    false,
    false,
    false,
    false,
    false,
    false,
    true,
  ]);
});

test('in the grace period failures are neither told nor counted, and with the first success it is over', () => {
  expect(reports({ gracePeriodSeconds: 5, consecutiveFailures: 1 }, 'fffff')).toEqual([]);
  expect(reports({ gracePeriodSeconds: 5, consecutiveFailures: 2 }, 'ffffff')).toEqual([[6, false, 1, false]]);
  expect(reports({ gracePeriodSeconds: 5, consecutiveFailures: 1 }, 'fsf')).toEqual([
    [2, true, 0, false],
    [3, false, 1, true],
  ]);
  expect(reports({ gracePeriodSeconds: 0, consecutiveFailures: 1 }, 'f')).toEqual([[1, false, 1, true]]);
});

test('0 consecutive failures means never killed', () => {
  const told = reports({ gracePeriodSeconds: 0, consecutiveFailures: 0 }, 'f'.repeat(50));
  expect(told).toHaveLength(50);
  expect(told.every((each) => (each as unknown[])[3] === false)).toBe(true);
});

test('a later agent process goes on from what was reported', () => {
  expect(reports({}, 'ss', { healthy: true })).toEqual([]);
  expect(reports({}, 'f', { healthy: true })).toEqual([[1, false, 1, false]]); // the grace period is over
  expect(reports({}, 's', { healthy: false })).toEqual([[1, true, 0, false]]);
  expect(reports({}, 'fff', { healthy: false }, 100).at(-1)).toEqual([102, false, 3, true]);
  expect(reports({}, 'f', {})).toEqual([]);
});

test('for every sequence: told are all failures after the grace period and each change to healthy, and the kill comes exactly with N in a row', () => {
  const settings = fc.record({
    gracePeriodSeconds: fc.integer({ min: 0, max: 10 }),
    consecutiveFailures: fc.integer({ min: 0, max: 4 }),
  });
  const sequence = fc.array(fc.constantFrom('s', 'f', 't'), { maxLength: 40 }).map((letters) => letters.join(''));
  fc.assert(
    fc.property(settings, sequence, ({ gracePeriodSeconds, consecutiveFailures }, letters) => {
      const expected: unknown[] = [];
      const firstSuccess = letters.indexOf('s');
      let healthy: boolean | undefined;
      for (let index = 0, row = 0; index < letters.length; index++) {
        const second = index + 1;
        if (letters[index] === 's') {
          if (healthy !== true) expected.push([second, true, 0, false]);
          [healthy, row] = [true, 0];
          continue;
        }
        const initializing = firstSuccess < 0 || index < firstSuccess;
        if (initializing && gracePeriodSeconds > 0 && second <= gracePeriodSeconds) continue;
        [healthy, row] = [false, row + 1];
        const kill = row === consecutiveFailures;
        expected.push([second, false, row, kill]);
        if (kill) break;
      }
      expect(reports({ gracePeriodSeconds, consecutiveFailures }, letters)).toEqual(expected);
    }),
    { numRuns: 2000 },
  );
});
