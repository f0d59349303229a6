/** Carries out the plan's actions. Each is idempotent: after a crash in the middle the plan asks for it again. */
import { randomUUID } from 'node:crypto';
import { EnvironmentSourceMissing } from './env-sources.ts';
import { intendedRecord, type LaunchInputs, prepareLaunch, readLaunchInputs } from './launch.ts';
import { launchFailedOutcome } from './outcome.ts';
import type { Action } from './plan.ts';
import type { KillCause, TaskRecord } from './record.ts';
import type { TaskRunner } from './runner.ts';
import { removeSandbox } from './sandbox.ts';
import { advance, type HistoryEntry, type Transition } from './status.ts';
import { UserUnknown } from './user.ts';

/** Resolves to whether something local changed, so that the plan is worth making again. Rejects when the step is to be retried. */
export async function act(runner: TaskRunner, action: Action): Promise<boolean> {
  switch (action.type) {
    case 'Launch':
      await runner.context.slots.use(() => launch(runner));
      return true;
    case 'TakeBack':
      await takeBack(runner, requireRecord(runner));
      return true;
    case 'Kill':
      await kill(runner, requireRecord(runner), action.cause);
      return true;
    case 'ForceKill':
      await forceKill(runner, requireRecord(runner));
      return true;
    case 'Settle':
      await settle(runner, action.step);
      return true;
    case 'Destroy':
      await runner.context.slots.use(() => destroy(runner, requireRecord(runner)));
      return true;
    case 'Reregister':
      await reregister(runner, requireRecord(runner));
      return true;
    case 'Explain':
      runner.deliver({ explain: action.message });
      return false;
    case 'Report':
    case 'RemoveFinalizer':
      runner.deliver(action.type);
      return false;
    case 'WakeAt':
      runner.wakeAt(action.timeMs);
      return false;
    case 'Forget':
      await forget(runner, requireRecord(runner));
      return false;
  }
}

/** At most once per Task uid: the record is durable before the containerizer is called, and is never written for a second container. */
async function launch(runner: TaskRunner): Promise<void> {
  const { context, document } = runner;
  if (document === undefined || runner.killWanted()) return;
  const abort = new AbortController();
  runner.launching = abort;
  const begun = context.now();
  try {
    const inputs = await launchInputs(runner);
    if (inputs === undefined || abort.signal.aborted) return;
    const containerId = runner.record?.containerId ?? randomUUID();
    const intended = step(
      withHistory(intendedRecord(context, document, inputs.container, containerId), document.status?.history),
      { state: 'Starting' },
      begun,
    );
    await runner.save(intended);
    runner.deliver('Report');
    const spec = await prepareLaunch(context, document, intended, inputs);
    const launched = await context.containerizer.launch(spec, abort.signal);
    context.metrics.launched(context.now() - begun);
    markRunning(runner, intended, launched.startedAt, launched.pid);
    runner.follow(containerId);
    context.logger.info(
      { task: runner.name(), containerID: containerId, durationMs: context.now() - begun },
      'task started',
    );
  } catch (error) {
    if (runner.record === undefined) throw error;
    context.metrics.launchFailed();
    const killed: Transition = {
      state: 'Killed',
      reason: 'TaskKilledDuringLaunch',
      message: 'killed while it was being started',
    };
    await settle(runner, abort.signal.aborted ? killed : launchFailedOutcome(messageOf(error)));
  } finally {
    runner.launching = undefined;
  }
}

/** undefined when the task was settled because something it names does not exist. */
async function launchInputs(runner: TaskRunner): Promise<LaunchInputs | undefined> {
  try {
    return await readLaunchInputs(runner.context, runner.document!);
  } catch (error) {
    if (!(error instanceof EnvironmentSourceMissing || error instanceof UserUnknown)) throw error;
    await settle(runner, launchFailedOutcome(error.message));
    return undefined;
  }
}

async function takeBack(runner: TaskRunner, record: TaskRecord): Promise<void> {
  markRunning(runner, record, new Date(record.startedAtMs ?? runner.context.now()), record.report.pid);
}

/**
 * Neither waited for nor synced: as long as the machine runs, recovery comes to the same record from the running container; and after a restart
 * of the machine it is the boot id that decides.
 */
function markRunning(runner: TaskRunner, record: TaskRecord, startedAt: Date, pid: number | undefined): void {
  const running = step(record, { state: 'Running', startTime: startedAt.toISOString(), pid }, runner.context.now());
  const launched: TaskRecord = { ...running, phase: 'Launched', startedAtMs: startedAt.getTime() };
  runner.save(launched, { durable: false }).catch((err: unknown) => {
    runner.context.logger.error({ err, task: runner.name() }, 'a task record could not be written');
  });
}

async function kill(runner: TaskRunner, record: TaskRecord, cause: KillCause): Promise<void> {
  const now = runner.context.now();
  const message = cause === 'MaxCompletionTime' ? 'maxCompletionTimeSeconds is over' : undefined;
  const marked = step(record, { state: 'Killing', message }, now);
  const deadlineMs = now + record.killGraceSeconds * 1000;
  await runner.save({ ...marked, kill: { cause, requestedAtMs: now, deadlineMs } });
  runner.deliver('Report');
  if (record.killGraceSeconds > 0) await runner.context.containerizer.signal(record.containerId, record.stopSignal);
  runner.context.logger.info(
    { task: runner.name(), containerID: record.containerId, op: cause },
    'task is being ended',
  );
}

async function forceKill(runner: TaskRunner, record: TaskRecord): Promise<void> {
  await runner.save({ ...record, kill: { ...record.kill!, forcedAtMs: runner.context.now() } });
  await runner.context.containerizer.signal(record.containerId, 9);
}

/** Durable before anybody hears of it. A task that never had a container gets a record too: it is what keeps it from being launched later. */
async function settle(runner: TaskRunner, outcome: Transition): Promise<void> {
  const { context, record, container } = runner;
  const now = context.now();
  if (record === undefined) {
    const { metadata, status, spec } = runner.document!;
    const empty: TaskRecord = {
      uid: runner.uid,
      namespace: metadata!.namespace!,
      name: metadata!.name!,
      containerId: status?.containerId ?? '',
      containerName: spec.containers?.[0]?.name ?? '',
      bootId: context.agent.bootId,
      phase: 'Cleaned',
      sandbox: '',
      volumes: [],
      killGraceSeconds: 0,
      stopSignal: 15,
      report: { state: 'Staging', source: 'Agent', history: (status?.history ?? []) as HistoryEntry[] },
    };
    await runner.save(step(empty, { finishTime: new Date(now).toISOString(), ...outcome }, now));
  } else {
    const { finishedAt, ...termination } =
      container.kind === 'Ended' ? container.termination : { finishedAt: undefined };
    const ended = step(record, { finishTime: new Date(now).toISOString(), ...outcome }, now);
    await runner.save({
      ...ended,
      phase: 'Ended',
      ...(finishedAt && {
        termination: {
          ...termination,
          containerId: record.containerId,
          oomKilled: false,
          finishedAtMs: finishedAt.getTime(),
        },
      }),
    });
  }
  context.metrics.ended(outcome.state, outcome.reason);
  const { state, reason } = outcome;
  context.logger.info(
    { task: runner.name(), containerID: runner.record!.containerId, state, ...(reason && { reason }) },
    'task ended',
  );
}

async function destroy(runner: TaskRunner, record: TaskRecord): Promise<void> {
  await runner.context.containerizer.destroy(record.containerId);
  // Only in memory: after a crash the removal is asked for again, which is cheaper than one more fsync per task.
  runner.record = { ...record, phase: 'Cleaned' };
}

async function reregister(runner: TaskRunner, record: TaskRecord): Promise<void> {
  const { state } = record.report;
  await runner.save(
    step(record, { state, reason: 'AgentReregistered', message: 'the agent is back' }, runner.context.now()),
  );
}

async function forget(runner: TaskRunner, record: TaskRecord): Promise<void> {
  const { namespace, name, containerId } = record;
  if (containerId !== '') await removeSandbox(runner.context.sandboxRoot, { namespace, task: name, containerId });
  await runner.context.records.remove(runner.uid);
  runner.record = undefined;
  runner.forgotten();
}

function step(record: TaskRecord, transition: Transition, now: number): TaskRecord {
  return { ...record, report: advance(record.report, transition, now) };
}

function withHistory(record: TaskRecord, history: unknown[] | undefined): TaskRecord {
  return { ...record, report: { ...record.report, history: (history ?? []) as HistoryEntry[] } };
}

function requireRecord(runner: TaskRunner): TaskRecord {
  if (runner.record === undefined)
    throw new Error(`no record of task ${runner.name()}: the plan asked for a step that needs one`);
  return runner.record;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
