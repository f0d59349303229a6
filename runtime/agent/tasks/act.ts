/** Carries out the plan's actions. Each is idempotent: after a crash in the middle the plan asks for it again. */
import { randomUUID } from 'node:crypto';
import { dropSandbox } from './drop-sandbox.ts';
import { killGraceSeconds, taskRecord, unstartedRecord } from './launch.ts';
import type { Action } from './plan.ts';
import { containerIdOf, type TaskRecord } from './record.ts';
import { removeContainer } from './remove.ts';
import type { TaskRunner } from './runner.ts';
import { prepareShared, removeShared, SHARED } from './shared.ts';
import { startContainer, takeBack } from './start.ts';
import type { Transition } from './status.ts';
import { beginKill, beginStop, type EndedRun, markForced, markFrozen, noteEnds, settled, step } from './steps.ts';
import { updateResources } from './update.ts';

const SIGKILL = 9;

/** Resolves to whether something local changed, so that the plan is worth making again. Rejects when the step is to be retried. */
export async function act(runner: TaskRunner, action: Action): Promise<boolean> {
  switch (action.type) {
    case 'Launch':
      await begin(runner);
      return true;
    case 'PrepareShared':
      runner.operations.begin(SHARED, (signal) => prepareShared(runner, signal));
      return false;
    case 'Start':
      runner.operations.begin(action.name, (signal, transfer) => startContainer(runner, action.name, signal, transfer));
      return false;
    case 'TakeBack':
      takeBack(runner, action.name);
      return true;
    case 'NoteEnds':
      await runner.change((record) => noteEnds(record, action.ends, runner.context.agent.bootId));
      return true;
    case 'Kill':
      await kill(runner, action);
      return true;
    case 'Stop':
      await runner.change((record) =>
        beginStop(withKillPolicy(runner, record), action.name, runner.context.now(), action.unhealthy),
      );
      await sendStopSignal(runner, action.name);
      return true;
    case 'ForceKill':
      await forceKill(runner, action.name);
      return true;
    case 'Freeze':
      await freeze(runner, action.name, action.frozen);
      return true;
    case 'UpdateResources':
      await updateResources(runner, action.names);
      return true;
    case 'Refuse':
      await refuse(runner);
      return true;
    case 'Settle':
      await settle(runner, action.step, action.ends);
      return true;
    case 'Remove':
      runner.operations.begin(action.name, () => removeContainer(runner, action.name));
      return false;
    case 'RemoveShared':
      runner.operations.begin(SHARED, () => removeShared(runner));
      return false;
    case 'Reregister':
      await reregister(runner);
      return true;
    case 'Explain':
      runner.deliver({ explain: action.message, reason: action.reason });
      return false;
    case 'Report':
    case 'RemoveFinalizer':
      runner.deliver(action.type);
      return false;
    case 'WakeAt':
      runner.wakeAt(action.timeMs);
      return false;
    case 'Forget':
      await forget(runner);
      return false;
  }
}

/** The decision to run the task here, durable before anything is made. */
async function begin(runner: TaskRunner): Promise<void> {
  const { context, document } = runner;
  if (document === undefined) return;
  const gpus = context.devices.assign(document);
  const userNamespace = context.idRanges?.give(runner.uid);
  const record = {
    ...taskRecord(context, document, randomUUID()),
    ...(Object.keys(gpus).length > 0 && { gpus }),
    ...(userNamespace && { userNamespace }),
  };
  for (const { name } of record.containers) runner.views.set(name, { kind: 'None', neverStarted: true });
  await runner.save(record);
  runner.deliver('Report');
}

async function kill(runner: TaskRunner, { kill, ends, running }: Action & { type: 'Kill' }): Promise<void> {
  const { context } = runner;
  await runner.change((record) => {
    const noted = noteEnds(withKillPolicy(runner, record), ends, context.agent.bootId);
    const killed = beginKill(noted, kill, killMessage(kill));
    return running.reduce((stopped, name) => beginStop(stopped, name, kill.requestedAtMs), killed);
  });
  runner.operations.abort();
  runner.deliver('Report');
  for (const name of running) await sendStopSignal(runner, name);
  context.logger.info({ task: runner.name(), op: kill.cause }, 'task is being ended');
}

/** A task is ended by the kill policy that its document has at that time, which may not be that of its launch. */
function withKillPolicy({ document }: TaskRunner, record: TaskRecord): TaskRecord {
  return document === undefined ? record : { ...record, killGraceSeconds: killGraceSeconds(document) };
}

function killMessage({ cause, culprit }: (Action & { type: 'Kill' })['kill']): string | undefined {
  switch (cause) {
    case 'MaxCompletionTime':
      return 'maxCompletionTimeSeconds is over';
    case 'ContainerFailed':
      return culprit && `container "${culprit}" failed: the others end with it`;
    case 'Unhealthy':
      return culprit && `container "${culprit}" is not healthy`;
    default:
      return undefined;
  }
}

/** The first step of the kill policy. A frozen process takes a signal only when it goes on. */
async function sendStopSignal(runner: TaskRunner, name: string): Promise<void> {
  const record = runner.requireRecord();
  const container = record.containers.find((candidate) => candidate.name === name)!;
  if (record.killGraceSeconds > 0)
    await runner.context.containerizer.signal(containerIdOf(record, container), container.stopSignal);
  if (container.frozen) await freeze(runner, name, false);
}

async function forceKill(runner: TaskRunner, name: string): Promise<void> {
  await runner.change((record) => markForced(record, name, runner.context.now()));
  const record = runner.requireRecord();
  const container = record.containers.find((candidate) => candidate.name === name)!;
  await runner.context.containerizer.signal(containerIdOf(record, container), SIGKILL);
  if (container.frozen) await freeze(runner, name, false);
}

/** In the record after the fact: to freeze what is frozen, or to resume what goes on, does nothing. */
async function freeze(runner: TaskRunner, name: string, frozen: boolean): Promise<void> {
  const record = runner.requireRecord();
  const container = record.containers.find((candidate) => candidate.name === name)!;
  if (frozen) runner.checks.pause(name);
  await runner.context.containerizer.freeze?.(containerIdOf(record, container), frozen);
  await runner.change((current) => markFrozen(current, name, frozen), { durable: false });
}

/** Documents of tasks and of the agent come by two watches, in any order: what the policy that is known refuses, one that was written before the task may allow. */
async function refuse(runner: TaskRunner): Promise<void> {
  await runner.context.refreshPolicy();
  const task = runner.document;
  const readiness = task && runner.readiness(task);
  if (readiness?.kind !== 'Invalid') return;
  await settle(runner, { state: 'Error', reason: 'TaskInvalid', message: readiness.message }, []);
}

/** Durable before anybody hears of it. A task that never had a container gets a record too: it is what keeps it from being launched later. */
async function settle(runner: TaskRunner, outcome: Transition, ends: EndedRun[]): Promise<void> {
  const { context } = runner;
  const now = context.now();
  if (runner.record === undefined) {
    const finishTime = new Date(now).toISOString();
    const empty = unstartedRecord(runner.document!, context.agent.bootId);
    await runner.save(step(empty, { finishTime, ...outcome }, now));
  } else {
    await runner.change((record) => settled(noteEnds(record, ends, context.agent.bootId), outcome, now));
  }
  context.metrics.ended(outcome.state, outcome.reason);
  const { state, reason } = outcome;
  context.logger.info(
    { task: runner.name(), containerID: runner.record!.groupId, state, ...(reason && { reason }) },
    'task ended',
  );
}

async function reregister(runner: TaskRunner): Promise<void> {
  await runner.change((record) => {
    const { state } = record.report;
    return step(record, { state, reason: 'AgentReregistered', message: 'the agent is back' }, runner.context.now());
  });
}

async function forget(runner: TaskRunner): Promise<void> {
  const { namespace, name, groupId } = runner.requireRecord();
  // Otherwise housekeeping removes it in its time.
  if (groupId !== '' && !runner.context.policy().keepsSandboxes)
    await dropSandbox(runner.context, { namespace, task: name, groupId });
  await runner.context.records.remove(runner.uid);
  runner.context.idRanges?.release(runner.uid);
  runner.record = undefined;
  runner.forgotten();
}
