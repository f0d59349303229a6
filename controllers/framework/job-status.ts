/** Conditions and events of a Job. */
import type { Framework } from '../../crds/types.generated.ts';
import type { Action } from './actions.ts';
import type { BackoffNow } from './backoff.ts';
import type { WantedCondition } from './conditions.ts';
import type { Job } from './job.ts';
import type { Accounts } from './job-accounting.ts';
import type { Observed } from './observed.ts';
import { conditionOf, describeEnd } from './task-view.ts';

export interface JobVerdict {
  end: 'Succeeded' | 'Failed' | undefined;
  reason: string;
  message: string;
}

/**
 * Succeeded is Unknown until the Job is over. Reconciling is true until its tasks are made, as kstatus has it for Jobs; a failed Job is
 * Stalled, which is what GitOps tools read as failed.
 */
export function jobConditions(
  { framework, unmetDependencies }: Observed,
  { end, reason, message }: JobVerdict,
  startTime: string | undefined,
  job: Job,
): WantedCondition[] {
  const suspended = job.suspend && end === undefined;
  let why = { reason, message };
  if (end === undefined && suspended) why = { reason: 'Suspended', message: 'spec.job.suspend is true' };
  else if (end === undefined && startTime === undefined) {
    why = framework.spec.paused
      ? { reason: 'Paused', message: 'spec.paused is true' }
      : { reason: 'WaitingForDependencies', message: unmetDependencies.join('; ') };
  }
  const starting = end === undefined && startTime === undefined && !suspended;
  const is = (holds: boolean) => (holds ? ('True' as const) : ('False' as const));
  return [
    { type: 'Succeeded', status: end === undefined ? 'Unknown' : is(end === 'Succeeded'), ...why },
    {
      type: 'Failed',
      status: is(end === 'Failed'),
      ...(end === 'Failed' ? why : { reason: 'NotFailed', message: '' }),
    },
    { type: 'Suspended', status: is(suspended), reason: suspended ? 'Suspended' : 'NotSuspended', message: '' },
    { type: 'Reconciling', status: is(starting), ...(starting ? why : { reason: why.reason, message: '' }) },
    {
      type: 'Stalled',
      status: is(end === 'Failed'),
      ...(end === 'Failed' ? why : { reason: 'NotStalled', message: '' }),
    },
  ];
}

export function jobEvents(
  framework: Framework,
  verdict: JobVerdict,
  accounts: Accounts,
  backoff: BackoffNow,
): Action[] {
  const events: Action[] = [];
  const add = (severity: 'Normal' | 'Warning', reason: string, action: string, note: string) =>
    events.push({ type: 'RecordEvent', severity, reason, action, note });
  for (const task of accounts.newlyFailed.slice(0, 3)) {
    const next = verdict.end === undefined ? `; next launch after ${backoff.status.delaySeconds ?? 0} s` : '';
    add('Warning', 'JobTaskFailed', 'CountTask', `task ${task.name} ended ${describeEnd(task)}${next}`);
  }
  if (verdict.end && conditionOf(framework, verdict.end)?.status !== 'True') {
    add(verdict.end === 'Failed' ? 'Warning' : 'Normal', verdict.reason, 'EndJob', verdict.message);
  }
  const suspended = conditionOf(framework, 'Suspended')?.status === 'True';
  if (verdict.end === undefined && suspended !== (framework.spec.job?.suspend ?? false)) {
    if (framework.spec.job?.suspend)
      add('Normal', 'JobSuspended', 'SuspendJob', 'ending all tasks: spec.job.suspend is true');
    else add('Normal', 'JobResumed', 'ResumeJob', 'spec.job.suspend is false again');
  }
  return events;
}
