/**
 * What the agent itself knows of a task, checkpointed per Task uid. The record is the launch decision: a run of a container is durable in it
 * before its launch, and is never launched again. It holds nothing secret: resolved environments live in memory only.
 */
import type { ContainerUserIds, Task } from '../../../crds/types.generated.ts';
import type { UserNamespace } from '../../containerizers/containerizer.ts';
import type { TaskReport } from './status.ts';

/**
 * Live: containers run, or are still to be started. Ended: the outcome is decided and durable, containers may still exist.
 * Cleaned: nothing is left of it but the sandbox.
 */
export type RecordPhase = 'Live' | 'Ended' | 'Cleaned';

/**
 * Of a container's newest run. Waiting: not begun. Intended: checkpointed, the containerizer may or may not have been called. Launched: the
 * command runs or ran. Ended: how it ended is durable, the container may still exist. Removed: nothing is left of it.
 */
export type ContainerPhase = 'Waiting' | 'Intended' | 'Launched' | 'Ended' | 'Removed';

/** Why the agent ends a whole task. */
export type KillCause =
  | 'Requested'
  | 'MaxCompletionTime'
  | 'DocumentTerminal'
  | 'DocumentGone'
  | 'CleanUp'
  /** A container of the task failed (`culprit`): the others end with it. */
  | 'ContainerFailed'
  /** The health check of a container (`culprit`) failed too often. */
  | 'Unhealthy'
  /** A container (`culprit`) waits for something that can no longer come. */
  | 'DependencyImpossible';

export interface KillRecord {
  cause: KillCause;
  /** Name of the container that decided. */
  culprit?: string;
  requestedAtMs: number;
}

/** The way of one container's end: the stop signal was asked for, SIGKILL follows. */
export interface StopRecord {
  requestedAtMs: number;
  /** From then on SIGKILL. */
  deadlineMs: number;
  /** When SIGKILL was last sent. */
  forcedAtMs?: number;
  /** It is ended for its own sake, and may be restarted. */
  unhealthy?: true;
}

/** How a run ended. Plain data, fit for JSON. */
export interface ContainerEnd {
  exitCode?: number;
  signal?: number;
  oomKilled?: boolean;
  finishedAtMs: number;
  limitation?: { reason: string; message: string; resource: string };
  /** It was ended because what it shared with the task's other containers was lost. */
  groupLost?: boolean;
  /** It is gone and nobody recorded how. */
  lost?: boolean;
  /** It was never started, and why. */
  failure?: { reason: string; message: string };
  /** It was ended because its health check failed too often. */
  unhealthy?: true;
}

/** Last results of the checks of a running container; absent ones are not known yet. */
export interface ContainerHealth {
  healthy?: boolean;
  /** Its health check succeeded at least once in this run. */
  wasHealthy?: true;
  /** The health check failed as often as it may: it is to be ended. Why, in a sentence. */
  failed?: string;
  ready?: boolean;
  lastReadinessResponse?: string;
}

export interface ContainerRecord {
  name: string;
  init: boolean;
  phase: ContainerPhase;
  /** Number of the newest run, from 0: how often it was restarted in place. */
  run: number;
  /** Signal of the kill policy's first step, by number. */
  stopSignal: number;
  /** Of the newest run; absent before it runs. */
  startedAtMs?: number;
  /** Some run of it was started. */
  wasStarted?: true;
  pid?: number;
  /** Image with digest. */
  image?: string;
  /** Whose user ids its newest run has. */
  userNamespace?: ContainerUserIds;
  stop?: StopRecord;
  /** Every process of it is stopped. */
  frozen?: boolean;
  health?: ContainerHealth;
  /** Of the newest run that ended. */
  end?: ContainerEnd;
  /** It is started again, not before this time. Absent: an ended container has ended for good. */
  restartAtMs?: number;
  /** Failures in a row, for the backoff. */
  failures: number;
}

export interface TaskRecord {
  uid: string;
  namespace: string;
  name: string;
  /** The task's run: id of its only container, or first part of its containers' ids. Empty: it never had one. */
  groupId: string;
  /** Whether its containers share what the containerizer's `prepareGroup` makes. */
  isGroup: boolean;
  /** Boot of the machine in which the containers were made. */
  bootId: string;
  phase: RecordPhase;
  sandbox: string;
  /** Names of the Volumes that the containers have mounted. */
  volumes: string[];
  killGraceSeconds: number;
  maxCompletionTimeSeconds?: number;
  /** When its first container started. */
  startedAtMs?: number;
  /** Init containers first, in the document's order. */
  containers: ContainerRecord[];
  /**
   * The document as it was launched, with the resources that were applied since. Absent in records of version 1, whose containers are neither
   * restarted nor updated.
   */
  task?: Task;
  /** CDI names of the GPUs that each container has; they are the task's until the record is Cleaned. */
  gpus?: Record<string, string[]>;
  /** Own user ids of its containers. */
  userNamespace?: UserNamespace;
  kill?: KillRecord;
  /** The last live update of resources that could not be done. */
  refusedUpdate?: { generation: number; message: string; atMs: number };
  /** A live update of resources was done. */
  wasUpdated?: true;
  /** Addresses, once the task has a network of its own. */
  networkInfos?: NonNullable<NonNullable<Task['status']>['networkInfos']>;
  /** Last result of the generic check. */
  checkStatus?: NonNullable<NonNullable<Task['status']>['checkStatus']>;
  /** What the Task document should say. */
  report: TaskReport;
}

export const TASK_RECORD = { kind: 'TaskRecord', version: 2 };

/** Id of a container's newest run, unique for ever: `<group>`, `<group>.<name>`, and with each restart in place `.<run>` behind it. Pure. */
export function containerIdOf(
  record: Pick<TaskRecord, 'groupId' | 'isGroup'>,
  { name, run }: Pick<ContainerRecord, 'name' | 'run'>,
): string {
  const base = record.isGroup ? `${record.groupId}.${name}` : record.groupId;
  return run === 0 ? base : `${base}.${run}`;
}

/** Ids of all runs that the containerizer may know. Pure. */
export function expectedContainerIds(record: TaskRecord): string[] {
  if (record.groupId === '' || record.phase === 'Cleaned') return [];
  return record.containers
    .filter(({ phase }) => phase !== 'Waiting' && phase !== 'Removed')
    .map((container) => containerIdOf(record, container));
}
