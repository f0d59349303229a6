import { type Answer, textAnswer } from './respond.ts';

/** One thing that must be well; returns what is wrong. */
export interface HealthCheck {
  name: string;
  problem: () => string | undefined;
}

export interface HealthChecks {
  /** Failing means: restart me. */
  live: HealthCheck[];
  /** Failing means: send me no work now. */
  ready: HealthCheck[];
}

/** Answers /livez, /readyz and /healthz, whole (`?verbose`, `?exclude=name`) or one check (`/readyz/name`). Undefined for other paths. */
export function answerHealth(checks: HealthChecks, path: string, query: URLSearchParams): Answer | undefined {
  const [, endpoint = '', one, ...more] = path.split('/');
  const all =
    endpoint === 'livez' || endpoint === 'healthz' ? checks.live : endpoint === 'readyz' ? checks.ready : undefined;
  if (all === undefined || more.length > 0) return undefined;
  if (one) {
    const check = all.find(({ name }) => name === one);
    if (check === undefined) return undefined;
    const problem = check.problem();
    return problem ? textAnswer(500, `internal server error: ${problem}\n`) : textAnswer(200, 'ok');
  }
  return summary(endpoint, all, new Set(query.getAll('exclude')), query.has('verbose'));
}

function summary(endpoint: string, checks: HealthCheck[], excluded: ReadonlySet<string>, verbose: boolean): Answer {
  let failed = false;
  let text = '';
  for (const { name, problem } of checks) {
    if (excluded.has(name)) {
      text += `[+]${name} excluded: ok\n`;
      continue;
    }
    const found = problem();
    failed ||= found !== undefined;
    text += found === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${found}\n`;
  }
  if (failed) return textAnswer(500, `${text}${endpoint} check failed\n`);
  return textAnswer(200, verbose ? `${text}${endpoint} check passed\n` : 'ok');
}
