/**
 * What the agent itself knows of a task, checkpointed per Task uid. The record is the launch decision: it is durable before the launch,
 * and as long as it exists the task is never launched again. It holds nothing secret: resolved environments live in memory only.
 */
import type { Termination } from '../../containerizers/containerizer.ts';
import type { TaskReport } from './status.ts';

/**
 * Intended: checkpointed, the containerizer may or may not have been called. Launched: the command runs or ran.
 * Ended: the outcome is decided and durable, the container may still exist. Cleaned: nothing is left of it but the sandbox.
 */
export type RecordPhase = 'Intended' | 'Launched' | 'Ended' | 'Cleaned';

/** Why the agent ends a running task. */
export type KillCause = 'Requested' | 'MaxCompletionTime' | 'DocumentTerminal' | 'DocumentGone' | 'CleanUp';

export interface KillRecord {
  cause: KillCause;
  requestedAtMs: number;
  /** From then on SIGKILL. */
  deadlineMs: number;
  /** When SIGKILL was last sent. */
  forcedAtMs?: number;
}

export interface TaskRecord {
  uid: string;
  namespace: string;
  name: string;
  containerId: string;
  containerName: string;
  /** Boot of the machine in which the container was made. */
  bootId: string;
  phase: RecordPhase;
  sandbox: string;
  /** Names of the Volumes that the container has mounted. */
  volumes: string[];
  killGraceSeconds: number;
  /** Signal of the kill policy's first step, by number. */
  stopSignal: number;
  maxCompletionTimeSeconds?: number;
  startedAtMs?: number;
  kill?: KillRecord;
  termination?: Omit<Termination, 'finishedAt'> & { finishedAtMs: number };
  /** What the Task document should say. */
  report: TaskReport;
}

export const TASK_RECORD = { kind: 'TaskRecord', version: 1 };
