/** What a run of tests came to. */
export interface Outcome {
  passed: number;
  failed: number;
  skipped: number;
  /** What is to be repeated at the end of a long run: a line for each test that failed or was flaky, with the first words of why. */
  remarks: string[];
}

export function sumOf(outcomes: Outcome[]): Outcome {
  const sum = (key: 'passed' | 'failed' | 'skipped') => outcomes.reduce((total, outcome) => total + outcome[key], 0);
  const remarks = outcomes.flatMap((outcome) => outcome.remarks);
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped'), remarks };
}
