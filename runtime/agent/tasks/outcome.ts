/** From how containers ended to what their task becomes. Pure. */
import { constants } from 'node:os';
import { isFailed, restartRuleOf } from './container-end.ts';
import type { ContainerEnd, ContainerRecord, KillRecord, TaskRecord } from './record.ts';
import { impossibleDependency } from './start-order.ts';
import type { Transition } from './status.ts';

/**
 * The terminal step of a task of which nothing runs any more. `bootId` is the machine's current boot, `kill` what it was ended for (default:
 * the record's).
 */
export function taskOutcome(
  record: TaskRecord,
  bootId: string,
  kill: KillRecord | undefined = record.kill,
): Transition {
  const { containers } = record;
  const decisive = containerNamed(record, kill?.culprit) ?? mainEnded(containers);
  const facts = decisive?.end ? endFacts(decisive.end) : {};
  switch (kill?.cause) {
    case undefined:
      break;
    case 'ContainerFailed':
      return failedOutcome(record, bootId, containerNamed(record, kill?.culprit));
    case 'MaxCompletionTime': {
      if (decisive?.end?.lost) return lostOutcome(record, bootId);
      const message = `it ran longer than maxCompletionTimeSeconds (${record.maxCompletionTimeSeconds})`;
      return { ...facts, state: 'Failed', reason: 'MaxCompletionTimeReached', message, source: 'Agent' };
    }
    case 'Unhealthy': {
      const message = `${prefix(record, decisive)}${decisive?.health?.failed ?? 'its health check failed'}`;
      return { ...facts, state: 'Killed', reason: 'TaskHealthCheckStatusUpdated', message };
    }
    case 'DependencyImpossible': {
      const found = impossibleDependency(record);
      const message = `container "${found?.name}": ${found?.message}`;
      return { state: 'Failed', reason: 'ContainerLaunchFailed', message };
    }
    default:
      return killedOutcome(record, kill!, decisive);
  }
  if (containers.some(isFailed) || record.bootId !== bootId) return failedOutcome(record, bootId);
  return { ...facts, state: 'Finished' };
}

/** The container that failed first: a known end says more than a lost one. */
export function culpritOf({ containers }: Pick<TaskRecord, 'containers'>): ContainerRecord | undefined {
  const failed = containers.filter(isFailed);
  return failed.toSorted(
    (a, b) => Number(a.end!.lost ?? false) - Number(b.end!.lost ?? false) || a.end!.finishedAtMs - b.end!.finishedAtMs,
  )[0];
}

/** The step of a task that could not be started and has no container to say so. */
export function launchFailedOutcome(message: string): Transition {
  return { state: 'Failed', reason: 'ContainerLaunchFailed', message };
}

/** Why the run ended, as reason and sentence; no reason for a command that exited with 0. */
export function explainEnd(end: ContainerEnd): { reason?: string; message: string } {
  if (end.lost) return { reason: 'ExecutorTerminated', message: 'its supervisor is gone and left no exit status' };
  if (end.failure) return end.failure;
  if (end.limitation) return { reason: end.limitation.reason, message: end.limitation.message };
  if (end.groupLost) {
    const message = "the process that keeps what the task's containers share is gone: they were ended with it";
    return { reason: 'ExecutorTerminated', message };
  }
  if (end.oomKilled) {
    const message = `the kernel ended it for lack of memory; ${endText(end)}`;
    return { reason: 'ContainerLimitationMemory', message };
  }
  if (end.unhealthy)
    return { reason: 'TaskHealthCheckStatusUpdated', message: `its health check failed; ${endText(end)}` };
  if (end.exitCode === 0) return { message: endText(end) };
  const reason = end.signal !== undefined ? 'Signaled' : 'ExitCode';
  return { reason, message: endText(end) };
}

/** "exited with code 3", "ended by SIGKILL". */
export function endText(end: { exitCode?: number; signal?: number }): string {
  if (end.signal !== undefined) return `ended by ${signalName(end.signal)}`;
  return end.exitCode === undefined ? 'ended without a status' : `exited with code ${end.exitCode}`;
}

/** The number of a signal given as "SIGTERM", "TERM" or "15"; undefined when there is no such signal. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 64 ? Number(text) : undefined;
  const name = text.toUpperCase();
  const known = constants.signals as Record<string, number>;
  return known[name] ?? known[`SIG${name}`];
}

function failedOutcome(record: TaskRecord, bootId: string, culprit = culpritOf(record)): Transition {
  if (culprit?.end === undefined || culprit.end.lost) return lostOutcome(record, bootId);
  const { end } = culprit;
  const { reason, message } = explainEnd(end);
  const isOurs =
    end.failure !== undefined || end.limitation !== undefined || end.groupLost === true || end.oomKilled === true;
  return {
    ...endFacts(end),
    state: 'Failed',
    reason: reason ?? 'ExitCode',
    message: `${prefix(record, culprit)}${message}${restartsText(record, culprit)}`,
    ...(isOurs && { source: 'Agent' }),
    ...(end.oomKilled && end.limitation === undefined && { limitation: { resource: 'mem' } }),
  };
}

/** The containers are gone and nobody knows how they ended. */
function lostOutcome({ bootId, containers }: TaskRecord, currentBootId: string): Transition {
  if (bootId !== currentBootId) {
    return { state: 'Gone', reason: 'AgentRestarted', message: 'the machine was restarted while the task ran' };
  }
  if (!containers.some(({ wasStarted }) => wasStarted)) {
    return {
      state: 'Dropped',
      reason: 'AgentRestarted',
      message: 'the agent was restarted while it launched the task',
    };
  }
  return {
    state: 'Gone',
    reason: 'ExecutorTerminated',
    message: "the container's supervisor is gone and left no exit status",
  };
}

/** A requested kill is Killed however the commands take it: some programs exit 0 on SIGTERM. */
function killedOutcome(record: TaskRecord, { cause }: KillRecord, decisive: ContainerRecord | undefined): Transition {
  const end = decisive?.end;
  const wasStarted = record.containers.some(
    ({ wasStarted, end }) => wasStarted || (end !== undefined && end.failure === undefined),
  );
  if (!wasStarted && cause === 'DocumentGone') return { state: 'Dropped', message: 'its Task document is gone' };
  if (!wasStarted && cause === 'DocumentTerminal')
    return { state: 'Dropped', message: 'its Task document is in a terminal state' };
  if (!wasStarted && cause === 'Requested') {
    return { state: 'Killed', reason: 'TaskKilledDuringLaunch', message: 'killed while it was being started' };
  }
  const how = end === undefined ? '' : `; ${end.lost ? 'how it ended was not recorded' : endText(end)}`;
  return { ...(end && endFacts(end)), state: 'Killed', message: `${killText(cause)}${how}` };
}

function endFacts(end: ContainerEnd): Partial<Transition> {
  if (end.lost || end.failure !== undefined) return {};
  return {
    finishTime: new Date(end.finishedAtMs).toISOString(),
    ...(end.exitCode !== undefined && { exitCode: end.exitCode }),
    ...(end.signal !== undefined && { signal: end.signal }),
    ...(end.limitation && { limitation: { resource: end.limitation.resource } }),
    source: 'Executor' as const,
  };
}

/** The container whose exit code stands for the task when none failed: the first that is no init container. */
function mainEnded(containers: ContainerRecord[]): ContainerRecord | undefined {
  const ended = containers.filter(({ end }) => end !== undefined);
  return ended.find(({ init }) => !init) ?? ended[0];
}

function containerNamed({ containers }: TaskRecord, name: string | undefined): ContainerRecord | undefined {
  return name === undefined ? undefined : containers.find((container) => container.name === name);
}

function prefix({ containers }: TaskRecord, container: ContainerRecord | undefined): string {
  if (containers.length === 1 || container === undefined) return '';
  return `${container.init ? 'init container' : 'container'} "${container.name}": `;
}

function restartsText({ task }: TaskRecord, { run }: ContainerRecord): string {
  const { condition, maxRestarts } = restartRuleOf(task);
  return condition === 'Never' || run !== maxRestarts ? '' : `; restarted ${run} times, which is maxRestarts`;
}

function signalName(signal: number): string {
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  return found?.[0] ?? `signal ${signal}`;
}

function killText(cause: string): string {
  switch (cause) {
    case 'DocumentGone':
      return 'ended because its Task document is gone';
    case 'DocumentTerminal':
      return 'ended because its Task document is in a terminal state';
    case 'CleanUp':
      return 'ended by the clean-up of the agent';
    default:
      return 'killed on request';
  }
}
