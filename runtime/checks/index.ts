/** Health checks, readiness checks and generic checks of running containers. */
export { initialCheckStatus } from './generic.ts';
export type { CheckReport } from './judge.ts';
export { type ChecksOptions, type RunningChecks, startChecks } from './start.ts';
export { type CheckTarget, portNamed, targetOf } from './target.ts';
export { checkProblems } from './validate.ts';
