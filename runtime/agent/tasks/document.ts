/** Between Task documents and the agent: what the plan reads of one, and the status patch that makes it say what the record says. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Task } from '../../../crds/types.generated.ts';
import { conditionsOf, taskHealth } from './conditions.ts';
import { type Activities, containerStatuses } from './container-status.ts';
import { killGraceSeconds } from './launch.ts';
import { type DocumentView, TASK_FINALIZER } from './plan.ts';
import type { TaskRecord } from './record.ts';
import { type SpecChange, specChange } from './spec-change.ts';
import { type HistoryEntry, isTerminal, mergeHistories } from './status.ts';

export interface AgentIdentity {
  name: string;
  agentId: string;
  bootId: string;
  /** Whether its containerizer can freeze containers. */
  canFreeze?: boolean;
}

/** What the agent knows of a task beside its document. */
export interface Known {
  record: TaskRecord | undefined;
  activities: Activities;
}

/** The document as the plan sees it. */
export function viewDocument(
  task: Task,
  { record, activities }: Known,
  agent: AgentIdentity,
  nowMs: number,
): DocumentView {
  return {
    state: task.status?.state,
    message: task.status?.message,
    containerId: task.status?.containerId,
    generation: task.metadata?.generation ?? 0,
    ...wishesOf(task),
    killGraceSeconds: killGraceSeconds(task),
    freezeWanted: task.spec.desiredState === 'Frozen' && (record === undefined || agent.canFreeze === true),
    hasFinalizer: task.metadata?.finalizers?.includes(TASK_FINALIZER) ?? false,
    reported: record !== undefined && isReported(task, record, activities, agent, new Date(nowMs)),
    resourceChanges: record?.phase === 'Live' ? changeOf(task, record).resources : [],
  };
}

/** Whether the document wants the task to end. */
export function wishesOf(task: Task): { deleting: boolean; killWanted: boolean } {
  return {
    deleting: task.metadata?.deletionTimestamp !== undefined,
    killWanted: task.spec.desiredState === 'Killed',
  };
}

/** Whether the status says what the record says. A terminal status is never written again, so it counts as said. */
export function isReported(
  task: Task,
  record: TaskRecord,
  activities: Activities,
  agent: AgentIdentity,
  now: Date,
): boolean {
  const status = task.status as Record<string, unknown> | undefined;
  if (status === undefined) return false;
  if (isTerminal(task.status?.state)) return true;
  return Object.entries(wantedStatus(task, record, activities, agent, now)).every(([field, wanted]) =>
    wanted === null ? status[field] === undefined : isDeepStrictEqual(status[field], wanted),
  );
}

/** A merge patch for the status subresource; it only applies to the version of the document that it was made from. */
export function statusPatch(
  task: Task,
  record: TaskRecord,
  activities: Activities,
  agent: AgentIdentity,
  now: Date,
): { metadata: object; status: Record<string, unknown> } {
  return {
    metadata: { resourceVersion: task.metadata?.resourceVersion },
    status: {
      ...wantedStatus(task, record, activities, agent, now),
      history: mergeHistories((task.status?.history ?? []) as HistoryEntry[], record.report.history),
    },
  };
}

/** A merge patch that says why a task waits on its agent. */
export function waitingPatch(task: Task, reason: string, message: string): Record<string, unknown> {
  return {
    metadata: { resourceVersion: task.metadata.resourceVersion },
    status: { state: 'Staging', reason, source: 'Agent', message },
  };
}

/** All fields of the agent but the history; null where there must be none. */
function wantedStatus(
  task: Task,
  record: TaskRecord,
  activities: Activities,
  agent: AgentIdentity,
  now: Date,
): Record<string, unknown> {
  const { report } = record;
  const healthy = taskHealth(record);
  const { unapplied, resources } = changeOf(task, record);
  return {
    observedGeneration: task.metadata?.generation,
    state: report.state,
    // null removes what an earlier writer left: a reason belongs to its state.
    reason: report.reason ?? null,
    message: report.message || null,
    source: report.source,
    agentId: agent.agentId,
    bootId: record.bootId,
    unreachableTime: null,
    ...(healthy !== 'None' && { healthy: healthy ?? null }),
    ...optional('exitCode', report.exitCode),
    ...optional('signal', report.signal),
    ...optional('containerId', report.containerId),
    ...optional('startTime', report.startTime),
    ...optional('finishTime', report.finishTime),
    ...optional('sandboxPath', report.sandboxPath),
    ...optional('limitation', report.limitation),
    ...optional('disk', report.disk),
    ...optional('networkInfos', record.networkInfos),
    ...optional('checkStatus', record.checkStatus),
    ...(record.groupId !== '' && { containers: containerStatuses(record, activities) }),
    conditions: conditionsOf(
      task,
      record,
      { unapplied, isUpdatePending: resources.length > 0, canFreeze: agent.canFreeze === true },
      now,
    ),
  };
}

const NO_CHANGE: SpecChange = { resources: [], unapplied: [] };

/** Of a document of the generation that was launched there is nothing to compare. */
function changeOf(task: Task, { task: launched }: TaskRecord): SpecChange {
  if (launched === undefined || launched.metadata.generation === task.metadata?.generation) return NO_CHANGE;
  return specChange(launched, task);
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}
