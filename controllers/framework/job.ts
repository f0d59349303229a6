/** Type Job: runs tasks until `completions` of them succeeded. */
import type { Framework, FrameworkStatus, JobSpec } from '../../crds/types.generated.ts';
import type { Action } from './actions.ts';
import { type BackoffNow, freshBackoff, isFailure, updateBackoff } from './backoff.ts';
import { withConditions } from './conditions.ts';
import { type Accounts, accountFields, settleAccounts } from './job-accounting.ts';
import { type JobVerdict, jobConditions, jobEvents } from './job-status.ts';
import { inKillOrder } from './kill-order.ts';
import { makeTask, makeVolumes } from './make.ts';
import { taskSelector } from './names.ts';
import type { Observed } from './observed.ts';
import { revisionOf } from './revision.ts';
import { conditionOf, describeEnd, type TaskView, viewTask } from './task-view.ts';
import { earliest, fromTime, toTime } from './times.ts';
import { judgeUnreachable } from './unreachable.ts';

/** What to do for a Job now, the new status included. */
export function planJob(observed: Observed, nowMs: number): { actions: Action[]; status: FrameworkStatus } {
  const { framework } = observed;
  const { spec, metadata, status: before } = framework;
  const job = withDefaults(spec.job);
  const indexed = job.completionMode === 'Indexed';
  const all = observed.tasks.map((task) => viewTask(task, nowMs));
  const accounts = settleAccounts(before, all, indexed);
  const unreachable = judgeUnreachable(
    all.filter((task) => !task.terminal && !task.deleting),
    spec.unreachableStrategy,
    nowMs,
  );
  const running = all.filter((task) => !task.terminal && !task.deleting && !unreachable.inactive.has(task));
  const backoff = jobBackoff(framework, all, accounts, nowMs);
  const startTime = job.suspend ? undefined : (before?.startTime ?? startOf(observed, nowMs));
  const verdict = judgeJob(framework, job, accounts, startTime, nowMs);

  const actions: Action[] = [];
  if (verdict.end || job.suspend) {
    actions.push(...endTasks([...running, ...unreachable.inactive]));
  } else if (!spec.paused && startTime !== undefined) {
    actions.push(...endTasks(unreachable.expunged));
    actions.push(...balance(observed, job, accounts, running, all, backoff));
  }
  const letGo: Action[] = accounts.settled.map(({ name, uid }) => ({ type: 'RemoveAccounting', name, uid }));
  const finished = verdict.end !== undefined;
  const completionTime = finished ? (before?.completionTime ?? toTime(nowMs)) : undefined;
  const status: FrameworkStatus = {
    ...before,
    observedGeneration: metadata.generation,
    replicas: all.filter((task) => !task.terminal).length,
    readyReplicas: running.filter((task) => task.ready).length,
    active: running.length,
    unreachableReplicas: all.filter((task) => task.state === 'Unreachable').length,
    selector: taskSelector(metadata.name ?? ''),
    updateRevision: revisionOf(spec),
    ...accountFields(accounts, indexed),
    startTime,
    completionTime,
    backoff: backoff.status,
    conditions: withConditions(
      before?.conditions,
      jobConditions(observed, verdict, startTime, job),
      metadata.generation,
      nowMs,
    ),
  };
  actions.push(...letGo, ...jobEvents(framework, verdict, accounts, backoff));

  let againAtMs = earliest(backoff.waitUntilMs, unreachable.lookAgainAtMs);
  if (!finished && job.activeDeadlineSeconds !== undefined && startTime !== undefined) {
    againAtMs = earliest(againAtMs, fromTime(startTime)! + job.activeDeadlineSeconds * 1000);
  }
  if (finished && job.ttlSecondsAfterFinished !== undefined) {
    const expiresAtMs = fromTime(completionTime)! + job.ttlSecondsAfterFinished * 1000;
    if (expiresAtMs <= nowMs && all.every((task) => !task.accounting)) actions.push({ type: 'DeleteFramework' });
    else againAtMs = earliest(againAtMs, Math.max(expiresAtMs, nowMs));
  }
  if (againAtMs !== undefined && againAtMs > nowMs) actions.push({ type: 'PlanAgain', afterMs: againAtMs - nowMs });
  return { actions, status };
}

export type Job = JobSpec &
  Required<Pick<JobSpec, 'completions' | 'parallelism' | 'completionMode' | 'backoffLimit' | 'suspend'>>;

function withDefaults(job: JobSpec | undefined): Job {
  return { completions: 1, parallelism: 1, completionMode: 'NonIndexed', backoffLimit: 6, suspend: false, ...job };
}

/** A Job starts when its dependencies are there; after that they are not asked again. */
function startOf({ framework, unmetDependencies }: Observed, nowMs: number): string | undefined {
  return framework.spec.paused || unmetDependencies.length > 0 ? undefined : toTime(nowMs);
}

/** Retries of a Job wait as replacements of a Service do; a success ends the series. */
function jobBackoff(framework: Framework, all: readonly TaskView[], accounts: Accounts, nowMs: number): BackoffNow {
  const before = accounts.newlySucceeded.length > 0 ? freshBackoff(nowMs) : framework.status?.backoff;
  return updateBackoff(
    before,
    all.filter((task) => task.state !== 'Finished' && isFailure(task)),
    framework.spec.backoff,
    nowMs,
  );
}

function judgeJob(
  framework: Framework,
  job: Job,
  accounts: Accounts,
  startTime: string | undefined,
  nowMs: number,
): JobVerdict {
  const { succeeded, failed } = accounts;
  const before = ['Succeeded', 'Failed'].map((type) => conditionOf(framework, type));
  const known = before.find((condition) => condition?.status === 'True');
  // An end is final: a Job that is over does not begin again because a limit was raised.
  if (known) return { end: known.type as 'Succeeded' | 'Failed', reason: known.reason, message: known.message };
  if (succeeded >= job.completions) {
    return { end: 'Succeeded', reason: 'JobSucceeded', message: `${succeeded} of ${job.completions} tasks succeeded` };
  }
  const invalid = accounts.newlyFailed.find((task) => task.state === 'Error');
  if (invalid) {
    return { end: 'Failed', reason: 'TaskInvalid', message: `task "${invalid.name}" ended ${describeEnd(invalid)}` };
  }
  if (failed > job.backoffLimit) {
    const last = accounts.newlyFailed.at(-1);
    const message = `${failed} tasks failed, backoffLimit is ${job.backoffLimit}`;
    return {
      end: 'Failed',
      reason: 'BackoffLimitExceeded',
      message: last ? `${message}; the last, "${last.name}", ended ${describeEnd(last)}` : message,
    };
  }
  const startMs = fromTime(startTime);
  if (
    job.activeDeadlineSeconds !== undefined &&
    startMs !== undefined &&
    startMs + job.activeDeadlineSeconds * 1000 <= nowMs
  ) {
    return {
      end: 'Failed',
      reason: 'DeadlineExceeded',
      message: `active for more than ${job.activeDeadlineSeconds} s`,
    };
  }
  return { end: undefined, reason: 'JobRunning', message: `${succeeded} of ${job.completions} tasks succeeded` };
}

/** As many tasks as parallelism allows and completions still need. */
function balance(
  observed: Observed,
  job: Job,
  accounts: Accounts,
  running: readonly TaskView[],
  all: readonly TaskView[],
  backoff: BackoffNow,
): Action[] {
  const indexed = job.completionMode === 'Indexed';
  const missing = job.completions - accounts.succeeded;
  const wanted = Math.min(job.parallelism, missing);
  if (running.length > wanted) {
    const surplus = inKillOrder(running, observed.framework.spec.killSelection).slice(0, running.length - wanted);
    return endTasks(surplus);
  }
  if (running.length === wanted || backoff.waitUntilMs !== undefined) return [];
  const count = wanted - running.length;
  const identities = indexed
    ? indexedTasks(observed, job, accounts, all, running, count)
    : numberedTasks(observed, accounts, all, count);
  const revision = revisionOf(observed.framework.spec);
  const actions: Action[] = [];
  for (const { name, index } of identities) {
    for (const volume of makeVolumes(observed.framework, index)) {
      if (!observed.volumeExists(volume.metadata.name ?? '')) actions.push({ type: 'CreateVolume', volume });
    }
    actions.push({ type: 'CreateTask', task: makeTask(observed.framework, { name, index, revision }) });
  }
  return actions;
}

/** <framework>-<index>, and -<attempt> after it for a retry. */
function indexedTasks(
  { framework, isTaskNameTaken }: Observed,
  job: Job,
  { completedIndexes }: Accounts,
  all: readonly TaskView[],
  running: readonly TaskView[],
  count: number,
): { name: string; index: number }[] {
  // An index is run by one task at a time, so one that is still ending keeps it.
  const ending = all.filter((task) => task.deleting && !task.terminal && task.state !== 'Unreachable');
  const busy = new Set([...running, ...ending].map((task) => task.index));
  const identities: { name: string; index: number }[] = [];
  for (let index = 0; index < job.completions && identities.length < count; index += 1) {
    if (busy.has(index) || completedIndexes.has(index)) continue;
    let name = `${framework.metadata.name}-${index}`;
    for (let attempt = 1; isTaskNameTaken(name); attempt += 1) name = `${framework.metadata.name}-${index}-${attempt}`;
    identities.push({ name, index });
  }
  return identities;
}

/** <framework>-<n>, counting on from the highest n there is or must have been. */
function numberedTasks(
  { framework, isTaskNameTaken }: Observed,
  { succeeded, failed }: Accounts,
  all: readonly TaskView[],
  count: number,
): { name: string; index: number }[] {
  const identities: { name: string; index: number }[] = [];
  const highest = Math.max(succeeded + failed - 1, ...all.map((task) => task.index));
  for (let index = highest + 1; identities.length < count; index += 1) {
    const name = `${framework.metadata.name}-${index}`;
    if (!isTaskNameTaken(name)) identities.push({ name, index });
  }
  return identities;
}

function endTasks(tasks: readonly TaskView[]): Action[] {
  return tasks.map(({ name, uid }) => ({ type: 'DeleteTask', name, uid }));
}
