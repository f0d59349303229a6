/** What results of readiness checks and generic checks mean. */
import { describe, expect, test } from '@jest/globals';
import { genericJudge, initialCheckStatus } from '../../../runtime/checks/generic.ts';
import type { Judge } from '../../../runtime/checks/judge.ts';
import { readinessJudge } from '../../../runtime/checks/readiness.ts';
import { failure, type ProbeResult } from '../../../runtime/checks/result.ts';

const result = (change: Partial<ProbeResult>): ProbeResult => ({
  outcome: 'Success',
  message: 'm',
  latencyMs: 1,
  ...change,
});
const http = (statusCode: number, body = ''): ProbeResult =>
  result({
    outcome: statusCode < 400 ? 'Success' : 'Failure',
    statusCode,
    response: { contentType: 'text/plain', body },
  });

function judgeAll<State>({ initial, judge }: Judge<State>, results: ProbeResult[]): unknown[] {
  let state = initial;
  return results.map((each) => {
    const judgement = judge(state, each, 0);
    state = judgement.state;
    return judgement.report ? { ...judgement.report, done: judgement.done } : undefined;
  });
}

describe('readiness', () => {
  test('nothing is told until the first success, which ends the check', () => {
    const told = judgeAll(readinessJudge({ tcp: { port: 1 } }), [
      result({ outcome: 'Failure' }),
      result({ outcome: 'Timeout' }),
      result({}),
    ]);
    expect(told).toEqual([undefined, undefined, expect.objectContaining({ ready: true, done: true })]);
  });

  test('HTTP is ready with 200 only, or with the codes that are listed', () => {
    const ready = (codes: number[] | undefined, statusCode: number) =>
      judgeAll(readinessJudge({ http: { port: 1 }, ...(codes && { httpStatusCodesForReady: codes }) }), [
        http(statusCode),
      ])[0] !== undefined;
    expect([200, 204, 302, 503].map((code) => ready(undefined, code))).toEqual([true, false, false, false]);
    expect([200, 204, 302, 503].map((code) => ready([204, 503], code))).toEqual([false, true, false, true]);
    expect(ready([], 200)).toBe(true);
  });

  test('the last answer is kept on request, told when it changes, and cut at 1,024 characters', () => {
    const judge = readinessJudge({ http: { port: 1 }, preserveLastResponse: true });
    const told = judgeAll(judge, [
      http(503, 'starting'),
      http(503, 'starting'),
      result({ outcome: 'Timeout' }),
      http(503, 'x'.repeat(2000)),
      http(200),
    ]);
    expect(told).toEqual([
      expect.objectContaining({ ready: false, lastResponse: '503 text/plain\n\nstarting' }),
      undefined,
      undefined,
      expect.objectContaining({ ready: false, lastResponse: expect.stringMatching(/^503 text\/plain\n\nx+$/) }),
      expect.objectContaining({ ready: true, lastResponse: '200 text/plain', done: true }),
    ]);
    expect((told[3] as { lastResponse: string }).lastResponse).toHaveLength(1024);
  });
});

test('what comes from a container cannot steer a terminal', () => {
  const judge = readinessJudge({ http: { port: 1 }, preserveLastResponse: true });
  const [told] = judgeAll(judge, [http(503, 'a\u001b[2Jb\nc\u009bd')]) as [{ lastResponse: string }];
  expect(told.lastResponse).toBe('503 text/plain\n\na [2Jb\nc d');
  expect(failure('x\u001b]0;owned\u0007y\nz').message).toBe('x ]0;owned y z');
});

describe('generic checks', () => {
  test('a status is there from the beginning, without a result', () => {
    expect(initialCheckStatus({ exec: { shell: 'true' } })).toEqual({ type: 'Exec' });
    expect(initialCheckStatus({ http: { port: 1 } })).toEqual({ type: 'HTTP' });
    expect(initialCheckStatus({ tcp: { port: 1 } })).toEqual({ type: 'TCP' });
    expect(initialCheckStatus({ grpc: { port: 1 } })).toEqual({ type: 'GRPC' });
  });

  test('a result is told when it is another one than before, and a timeout is an empty result', () => {
    const told = judgeAll(genericJudge({ exec: { shell: 'true' } }), [
      result({ outcome: 'Timeout' }),
      result({ exitCode: 0 }),
      result({ exitCode: 0 }),
      result({ outcome: 'Failure', exitCode: 3 }),
      result({ outcome: 'Timeout' }),
      result({ outcome: 'Timeout' }),
    ]).map((each) => (each as { checkStatus: unknown } | undefined)?.checkStatus);
    expect(told).toEqual([
      undefined,
      { type: 'Exec', exitCode: 0 },
      undefined,
      { type: 'Exec', exitCode: 3 },
      { type: 'Exec' },
      undefined,
    ]);
  });

  test('HTTP passes on any status, and no answer is no result; TCP and gRPC say whether it succeeded', () => {
    const value = (check: Parameters<typeof genericJudge>[0], each: ProbeResult) =>
      (judgeAll(genericJudge(check), [each])[0] as { checkStatus: unknown } | undefined)?.checkStatus;
    expect(value({ http: { port: 1 } }, http(503))).toEqual({ type: 'HTTP', statusCode: 503 });
    expect(value({ http: { port: 1 } }, result({ outcome: 'Failure' }))).toBeUndefined();
    expect(value({ tcp: { port: 1 } }, result({ outcome: 'Failure' }))).toEqual({ type: 'TCP', succeeded: false });
    expect(value({ grpc: { port: 1 } }, result({}))).toEqual({ type: 'GRPC', succeeded: true });
  });

  test('a later agent process tells only what is new', () => {
    const previous = { checkStatus: { type: 'Exec' as const, exitCode: 3, time: '2026-01-01T00:00:00Z' } };
    const judge = genericJudge({ exec: { shell: 'true' } }, previous);
    expect(judgeAll(judge, [result({ exitCode: 3 })])).toEqual([undefined]);
    expect(judgeAll(judge, [result({ exitCode: 0 })])).toHaveLength(1);
  });
});
