/** Marathon's readiness checks: until the first success the container is not ready; after it no further attempt is made. */
import type { ReadinessCheck } from '../../crds/types.generated.ts';
import type { Judge } from './judge.ts';
import type { ProbeResult } from './result.ts';

export interface ReadinessState {
  /** What was reported last. */
  lastResponse?: string;
}

const MAX_RESPONSE = 1024;

export function readinessJudge(check: ReadinessCheck): Judge<ReadinessState> {
  const readyCodes = check.httpStatusCodesForReady?.length ? check.httpStatusCodesForReady : [200];
  return {
    initial: {},
    judge(state, result) {
      const ready = isReady(result, readyCodes);
      const lastResponse = check.preserveLastResponse ? responseText(result) : undefined;
      if (!ready && (lastResponse === undefined || lastResponse === state.lastResponse)) return { state };
      const { message, latencyMs } = result;
      const kept = lastResponse !== undefined && { lastResponse };
      return {
        state: { ...state, ...kept },
        report: { kind: 'Readiness', ready, message, latencyMs, ...kept },
        done: ready,
      };
    },
  };
}

/** An HTTP check is measured by its own list of codes and not by 200 to 399. */
function isReady({ outcome, statusCode }: ProbeResult, readyCodes: number[]): boolean {
  return statusCode === undefined ? outcome === 'Success' : readyCodes.includes(statusCode);
}

/** Status code and content type on one line, an empty line, the body; at most 1,024 characters, none of which steers a terminal. */
function responseText({ statusCode, response }: ProbeResult): string | undefined {
  if (statusCode === undefined || response === undefined) return undefined;
  const text = `${statusCode} ${response.contentType}`.trim();
  const whole = response.body === '' ? text : `${text}\n\n${response.body}`;
  return whole
    .replaceAll(/(?![\n\t])\p{Cc}/gu, ' ')
    .slice(0, MAX_RESPONSE)
    .toWellFormed();
}
