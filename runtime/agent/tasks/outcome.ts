/** From how a container ended to what its task becomes. Pure. */
import { constants } from 'node:os';
import type { Termination } from '../../containerizers/containerizer.ts';
import type { TaskRecord } from './record.ts';
import type { Transition } from './status.ts';

/** The terminal step for a container that ended. `bootId` is the machine's current boot. */
export function outcomeOf(record: TaskRecord, termination: Termination, bootId: string): Transition {
  if (termination.lost === true) return lostOutcome(record, bootId);
  const facts = {
    finishTime: termination.finishedAt.toISOString(),
    ...(termination.exitCode !== undefined && { exitCode: termination.exitCode }),
    ...(termination.signal !== undefined && { signal: termination.signal }),
    ...(termination.limitation && { limitation: { resource: termination.limitation.resource } }),
    source: 'Executor' as const,
  };
  const { kill } = record;
  if (kill?.cause === 'MaxCompletionTime') {
    const message = `it ran longer than maxCompletionTimeSeconds (${record.maxCompletionTimeSeconds})`;
    return { ...facts, state: 'Failed', reason: 'MaxCompletionTimeReached', message, source: 'Agent' };
  }
  // A requested kill is Killed however the command takes it: some programs exit 0 on SIGTERM.
  if (kill !== undefined)
    return { ...facts, state: 'Killed', message: `${killText(kill.cause)}; ${endText(termination)}` };
  if (termination.limitation !== undefined) {
    const { reason, message } = termination.limitation;
    return { ...facts, state: 'Failed', reason, message, source: 'Agent' };
  }
  if (termination.oomKilled) {
    const message = `the kernel ended it for lack of memory; ${endText(termination)}`;
    return {
      ...facts,
      state: 'Failed',
      reason: 'ContainerLimitationMemory',
      message,
      source: 'Agent',
      limitation: { resource: 'mem' },
    };
  }
  if (termination.exitCode === 0) return { ...facts, state: 'Finished' };
  const reason = termination.signal !== undefined ? 'Signaled' : 'ExitCode';
  return { ...facts, state: 'Failed', reason, message: endText(termination) };
}

/** The container is gone and nobody knows how it ended. */
export function lostOutcome(record: TaskRecord, bootId: string): Transition {
  if (record.kill !== undefined && record.kill.cause !== 'MaxCompletionTime') {
    return { state: 'Killed', message: `${killText(record.kill.cause)}; how it ended was not recorded` };
  }
  if (record.bootId !== bootId) {
    return { state: 'Gone', reason: 'AgentRestarted', message: 'the machine was restarted while the task ran' };
  }
  if (record.phase === 'Intended') {
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

/** The terminal step for a launch that the containerizer refused or could not do. */
export function launchFailedOutcome(message: string): Transition {
  return { state: 'Failed', reason: 'ContainerLaunchFailed', message };
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
