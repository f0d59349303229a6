/** Task.status.conditions as the agent writes them; those of others (Scheduled) are kept as they are. Pure. */
import type { Condition, Task } from '../../../crds/types.generated.ts';
import { isCompleted } from './container-end.ts';
import type { TaskRecord } from './record.ts';
import { documentContainer } from './start-order.ts';
import { isTerminal, type TaskReport } from './status.ts';

interface Wanted {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
}

export interface ConditionFacts {
  /** Paths of fields that were changed after the launch and are not applied. */
  unapplied: string[];
  /** Whether cpu or memory are not as the document wants them yet. */
  isUpdatePending: boolean;
  canFreeze: boolean;
}

/** The last transition time is kept while the status stays. */
export function conditionsOf(task: Task, record: TaskRecord, facts: ConditionFacts, now: Date): Condition[] {
  const existing = task.status?.conditions ?? [];
  const observedGeneration = task.metadata?.generation;
  const wanted = wantedConditions(task, record, facts);
  const ours = wanted.map((condition) => {
    const before = existing.find(({ type }) => type === condition.type);
    const lastTransitionTime = before?.status === condition.status ? before.lastTransitionTime : now.toISOString();
    return { ...condition, lastTransitionTime, ...(observedGeneration !== undefined && { observedGeneration }) };
  });
  const others = existing.filter((condition) => !wanted.some(({ type }) => type === condition.type));
  return [...others, ...ours] as Condition[];
}

function wantedConditions(task: Task, record: TaskRecord, facts: ConditionFacts): Wanted[] {
  const { report } = record;
  const reason = report.reason ?? report.state;
  // Kubernetes before 1.21 takes an empty text in a merge patch for null, and refuses that.
  const message = report.message || `the task is ${report.state}`;
  const optional = [
    healthyCondition(record),
    frozenCondition(task, record, facts.canFreeze),
    appliedCondition(task, record, facts),
  ];
  return [
    { type: 'Ready', reason, message, ...readiness(record) },
    { type: 'Succeeded', status: succeededStatus(report.state), reason, message },
    ...optional.filter((condition) => condition !== undefined),
  ];
}

/** Ready: every container runs (or has done its work), and is healthy and ready as far as it declares checks. */
function readiness(record: TaskRecord): Pick<Wanted, 'status'> & Partial<Wanted> {
  const { report, containers } = record;
  if (report.state !== 'Running') return { status: 'False' };
  for (const container of containers) {
    if (isCompleted(container)) continue;
    const not = (reason: string, message: string): Pick<Wanted, 'status' | 'reason' | 'message'> => ({
      status: 'False',
      reason,
      message: `container "${container.name}" ${message}`,
    });
    if (container.phase !== 'Launched' || container.stop !== undefined)
      return not('ContainersNotReady', 'does not run');
    if (container.frozen) return not('Frozen', 'is frozen');
    const { healthCheck, readinessCheck } = documentContainer(record.task, container) ?? {};
    if (healthCheck !== undefined && container.health?.healthy !== true) {
      return container.health?.healthy === false
        ? not('Unhealthy', 'is not healthy')
        : not('ContainersNotReady', 'was not found healthy yet');
    }
    if (readinessCheck !== undefined && container.health?.ready !== true)
      return not('ContainersNotReady', 'is not ready');
  }
  return { status: 'True' };
}

/** Only with health checks. */
function healthyCondition(record: TaskRecord): Wanted | undefined {
  const healthy = taskHealth(record);
  if (healthy === 'None') return undefined;
  const texts = {
    True: 'the health checks succeed',
    False: 'a health check failed',
    Unknown: 'the health checks have no result yet',
  };
  const status = healthy === undefined ? 'Unknown' : healthy ? 'True' : 'False';
  return { type: 'Healthy', status, reason: 'HealthCheck', message: texts[status] };
}

/** status.healthy: true when all declared health checks succeed, false when one fails, undefined before that; None without a health check. */
export function taskHealth(record: TaskRecord): boolean | undefined | 'None' {
  const checked = record.containers.filter(
    (container) => documentContainer(record.task, container)?.healthCheck !== undefined,
  );
  if (checked.length === 0) return 'None';
  const results = checked.map(({ health }) => health?.healthy);
  if (results.includes(false)) return false;
  return results.includes(undefined) ? undefined : true;
}

/** Only once it was to be frozen. */
function frozenCondition(
  { spec, status }: Task,
  { containers, report }: TaskRecord,
  canFreeze: boolean,
): Wanted | undefined {
  const type = 'Frozen';
  const isOver = isTerminal(report.state);
  if (containers.some(({ frozen }) => frozen) && !isOver)
    return { type, status: 'True', reason: 'Requested', message: 'its processes are stopped' };
  if (spec.desiredState === 'Frozen' && !canFreeze && !isOver) {
    return {
      type,
      status: 'False',
      reason: 'NotSupported',
      message: "the agent's containerizer cannot freeze containers",
    };
  }
  if (!(status?.conditions ?? []).some((condition) => condition.type === type)) return undefined;
  return {
    type,
    status: 'False',
    reason: isOver ? 'Ended' : 'Resumed',
    message: isOver ? 'the task has ended' : 'its processes go on',
  };
}

/** Only once the document was changed after the launch. */
function appliedCondition(
  { status }: Task,
  { refusedUpdate, wasUpdated }: TaskRecord,
  { unapplied, isUpdatePending }: ConditionFacts,
): Wanted | undefined {
  const type = 'SpecApplied';
  if (unapplied.length > 0) {
    const message = `changed after the launch and not applied, create a new Task for it: ${unapplied.join(', ')}`;
    return { type, status: 'False', reason: 'FieldsNotApplied', message };
  }
  if (refusedUpdate !== undefined && isUpdatePending)
    return { type, status: 'False', reason: 'ContainerUpdateFailed', message: refusedUpdate.message };
  const wasTold = (status?.conditions ?? []).some((condition) => condition.type === type);
  if (wasUpdated || wasTold)
    return { type, status: 'True', reason: 'ResourcesUpdated', message: 'the resources in spec are in force' };
  return undefined;
}

function succeededStatus(state: TaskReport['state']): 'True' | 'False' | 'Unknown' {
  if (state === 'Finished') return 'True';
  return isTerminal(state) ? 'False' : 'Unknown';
}
