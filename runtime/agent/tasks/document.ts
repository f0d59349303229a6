/** Between Task documents and the agent: what the plan reads of one, and the status patch that makes it say what the record says. Pure. */
import type { ContainerStatus, Task } from '../../../crds/types.generated.ts';
import { type DocumentView, TASK_FINALIZER } from './plan.ts';
import type { TaskRecord } from './record.ts';
import { type HistoryEntry, isTerminal, mergeHistories, type TaskReport } from './status.ts';

export interface AgentIdentity {
  name: string;
  agentId: string;
  bootId: string;
}

type Conditions = NonNullable<NonNullable<Task['status']>['conditions']>;

/** The document as the plan sees it. */
export function viewDocument(task: Task, record: TaskRecord | undefined): DocumentView {
  return {
    state: task.status?.state,
    message: task.status?.message,
    containerId: task.status?.containerId,
    deleting: task.metadata?.deletionTimestamp !== undefined,
    killWanted: task.spec.desiredState === 'Killed',
    hasFinalizer: task.metadata?.finalizers?.includes(TASK_FINALIZER) ?? false,
    reported: record !== undefined && isReported(task, record.report),
  };
}

/** Whether the status says what the report says. A terminal status is never written again, so it counts as said. */
export function isReported(task: Task, report: TaskReport): boolean {
  const { status } = task;
  if (status === undefined) return false;
  if (isTerminal(status.state)) return true;
  return (
    status.state === report.state &&
    status.reason === report.reason &&
    status.message === report.message &&
    status.containerId === report.containerId &&
    status.observedGeneration === task.metadata?.generation
  );
}

/** A merge patch for the status subresource; it only applies to the version of the document that it was made from. */
export function statusPatch(task: Task, record: TaskRecord, agent: AgentIdentity, now: Date): Record<string, unknown> {
  const { report } = record;
  return {
    metadata: { resourceVersion: task.metadata?.resourceVersion },
    status: {
      observedGeneration: task.metadata?.generation,
      state: report.state,
      // null removes what an earlier writer left: a reason belongs to its state.
      reason: report.reason ?? null,
      message: report.message ?? null,
      source: report.source,
      agentId: agent.agentId,
      bootId: record.bootId,
      unreachableTime: null,
      ...optional('exitCode', report.exitCode),
      ...optional('signal', report.signal),
      ...optional('containerId', report.containerId),
      ...optional('startTime', report.startTime),
      ...optional('finishTime', report.finishTime),
      ...optional('sandboxPath', report.sandboxPath),
      ...optional('limitation', report.limitation),
      ...(report.containerId !== undefined && { containers: [containerStatus(record)] }),
      history: mergeHistories((task.status?.history ?? []) as HistoryEntry[], report.history),
      conditions: conditionsOf(task, report, now),
    },
  };
}

/** A merge patch that says why a task waits on its agent. */
export function waitingPatch(task: Task, message: string): Record<string, unknown> {
  return {
    metadata: { resourceVersion: task.metadata.resourceVersion },
    status: { state: 'Staging', reason: 'WaitingForVolume', source: 'Agent', message },
  };
}

function containerStatus({ containerName, report }: TaskRecord): Record<string, unknown> {
  return {
    name: containerName,
    state: CONTAINER_STATES[report.state],
    restarts: 0,
    ...optional('containerId', report.containerId),
    ...optional('reason', report.reason),
    ...optional('exitCode', report.exitCode),
    ...optional('signal', report.signal),
    ...(!isTerminal(report.state) && optional('pid', report.pid)),
    ...optional('startTime', report.startTime),
    ...optional('finishTime', report.finishTime),
  };
}

/** A container has fewer states than a task: why it failed is the reason's to say. */
const CONTAINER_STATES: Record<TaskReport['state'], ContainerStatus['state']> = {
  Staging: 'Waiting',
  Starting: 'Starting',
  Running: 'Running',
  Killing: 'Killing',
  Unreachable: 'Running',
  Finished: 'Finished',
  Killed: 'Killed',
  Failed: 'Failed',
  Error: 'Failed',
  Dropped: 'Failed',
  Gone: 'Failed',
  GoneByOperator: 'Failed',
};

/** Ready and Succeeded are ours; conditions of others (Scheduled) are kept as they are. */
function conditionsOf(task: Task, report: TaskReport, now: Date): Conditions {
  const existing = task.status?.conditions ?? [];
  const generation = task.metadata?.generation;
  const reason = report.reason ?? report.state;
  // Kubernetes before 1.21 takes an empty text in a merge patch for null, and refuses that.
  const message = report.message || `the task is ${report.state}`;
  const wanted = [
    { type: 'Ready', status: report.state === 'Running' ? 'True' : 'False' },
    { type: 'Succeeded', status: succeededStatus(report.state) },
  ];
  const ours = wanted.map(({ type, status }) => {
    const before = existing.find((condition) => condition.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now.toISOString();
    return { type, status, reason, message, lastTransitionTime, ...optional('observedGeneration', generation) };
  });
  const others = existing.filter((condition) => !wanted.some(({ type }) => type === condition.type));
  return [...others, ...ours] as Conditions;
}

function succeededStatus(state: TaskReport['state']): 'True' | 'False' | 'Unknown' {
  if (state === 'Finished') return 'True';
  return isTerminal(state) ? 'False' : 'Unknown';
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}
