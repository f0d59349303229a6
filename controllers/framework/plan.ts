/** Decides what a Framework needs: the one entry to the plans of all its types. */
import { isDeepStrictEqual } from 'node:util';
import type { Framework, FrameworkStatus } from '../../crds/types.generated.ts';
import type { Action } from './actions.ts';
import { type WantedCondition, withConditions } from './conditions.ts';
import { planJob } from './job.ts';
import type { Observed } from './observed.ts';
import { planService } from './service.ts';
import { conditionOf, viewTask } from './task-view.ts';
import { unsupportedFields } from './unsupported.ts';

/** Pure and total. The plan of a Framework that is as declared, and whose status says so, is empty. */
export function plan(observed: Observed, nowMs: number): Action[] {
  const { framework } = observed;
  if (framework.metadata.deletionTimestamp) return letTasksGo(observed, nowMs);
  const refusal = refusalOf(observed);
  if (refusal) return refuse(framework, refusal, nowMs);
  const { actions, status } = framework.spec.type === 'Job' ? planJob(observed, nowMs) : planService(observed, nowMs);
  return inOrder(framework, actions, status);
}

/**
 * What a status counts is written before the counted Tasks are let go of. When nothing is newly counted, work goes first: a new Framework's
 * tasks do not wait for the status that tells of them.
 */
function inOrder(framework: Framework, actions: Action[], status: FrameworkStatus): Action[] {
  const known = framework.status ?? {};
  const written = withoutUndefined(status);
  if (isDeepStrictEqual(written, known)) return actions;
  const write: Action = { type: 'WriteStatus', status: written };
  const isAfter = ({ type }: Action) => type === 'RecordEvent' || type === 'PlanAgain';
  const work = actions.filter((action) => !isAfter(action));
  const after = actions.filter(isAfter);
  const counts = !isDeepStrictEqual(accountsIn(status), accountsIn(known));
  return counts ? [write, ...work, ...after] : [...work, write, ...after];
}

function accountsIn({ succeeded = 0, failed = 0, countedTasks = [] }: FrameworkStatus): unknown {
  return { succeeded, failed, countedTasks };
}

function withoutUndefined(status: FrameworkStatus): FrameworkStatus {
  return Object.fromEntries(Object.entries(status).filter(([, value]) => value !== undefined));
}

/** Nobody asks for the counts of a Framework that is going away; its Tasks must not wait for it. */
function letTasksGo({ tasks }: Observed, nowMs: number): Action[] {
  return tasks
    .map((task) => viewTask(task, nowMs))
    .filter((task) => task.accounting)
    .map(({ name, uid }) => ({ type: 'RemoveAccounting', name, uid }));
}

function refusalOf({
  framework,
  dependencyCycle,
  rejection,
}: Observed): { reason: string; message: string } | undefined {
  const fields = unsupportedFields(framework.spec);
  if (fields.length > 0) {
    return {
      reason: 'NotImplemented',
      message: `${fields.join(' and ')} ${fields.length > 1 ? 'are' : 'is'} not implemented yet`,
    };
  }
  if (dependencyCycle) {
    return {
      reason: 'DependencyCycle',
      message: `spec.dependsOn leads back to itself: ${dependencyCycle.join(' -> ')}`,
    };
  }
  if (rejection !== undefined) return { reason: 'TaskRejected', message: rejection };
  if (!framework.spec.template) return { reason: 'TemplateMissing', message: 'spec.template is needed' };
  return undefined;
}

/** Makes nothing, and says why where people and GitOps tools look. */
function refuse(
  framework: Framework,
  { reason, message }: { reason: string; message: string },
  nowMs: number,
): Action[] {
  const main = framework.spec.type === 'Job' || framework.spec.type === 'Cron' ? 'Succeeded' : 'Ready';
  const wanted: WantedCondition[] = [
    { type: main, status: 'False', reason, message },
    { type: 'Reconciling', status: 'False', reason, message: '' },
    { type: 'Stalled', status: 'True', reason, message },
  ];
  const { metadata, status: before } = framework;
  const status: FrameworkStatus = {
    ...before,
    observedGeneration: metadata.generation,
    conditions: withConditions(before?.conditions, wanted, metadata.generation, nowMs),
  };
  if (isDeepStrictEqual(status, before)) return [];
  const actions: Action[] = [{ type: 'WriteStatus', status }];
  if (conditionOf(framework, 'Stalled')?.message !== message) {
    actions.push({ type: 'RecordEvent', severity: 'Warning', reason, action: 'Reconcile', note: message });
  }
  return actions;
}
