import type { Framework as FrameworkDocument, Task as TaskDocument } from '../../crds/types.generated.ts';
import type { ObjectKey } from '../machinery/client/client.ts';
import { Framework, Task } from '../machinery/client/resources.ts';
import { removeFinalizer } from '../machinery/finalizers.ts';
import { keyOf } from '../machinery/key.ts';
import type { Manager } from '../machinery/manager/manager.ts';
import { done, type Outcome, requeueAfter } from '../machinery/outcome.ts';
import { patchStatus } from '../machinery/status.ts';
import type { Change, Store } from '../machinery/store/object-store.ts';
import { type HistoryPolicy, planHistory } from './history.ts';
import { hasEnded, TASK_CLEANUP_FINALIZER } from './states.ts';
import { statusAfter } from './status-change.ts';

export interface TaskControllerOptions {
  /** Ended Tasks without a Framework that are kept per namespace. Default: 100. */
  standaloneHistory?: number;
  /** How long they are kept. Default: 24 h. */
  standaloneTtlMs?: number;
}

const INDEX = 'task/endedOf';
/** The CRD's default of spec.historyLimits. */
const DEFAULT_LIMIT = 10;

/** Deletes ended Tasks beyond the limits of their Framework, and ends those that no agent will ever take. */
export function registerTaskController(manager: Manager, options: TaskControllerOptions = {}): void {
  const { client, clock } = manager;
  const tasks = manager.informer(Task).store;
  const frameworks = manager.informer(Framework).store;
  tasks.addIndex(INDEX, (task) => (hasEnded(task) && !task.metadata.deletionTimestamp ? [groupOf(task)] : []));

  // Uids whose deletion was asked for and is not in the cache yet: each ending task would ask for them again.
  const asked = new Set<string>();
  manager.informer(Task).onChange(({ old, new: next }) => {
    if (old && old.metadata.uid !== next?.metadata.uid) asked.delete(old.metadata.uid ?? '');
  });

  const collect = async (task: TaskDocument): Promise<Outcome> => {
    const policy = policyFor(task, frameworks, options);
    const plan = planHistory(tasks.byIndex(INDEX, groupOf(task)), policy, clock.now());
    for (const { metadata } of plan.delete) {
      const uid = metadata.uid ?? '';
      if (asked.has(uid)) continue;
      asked.add(uid);
      try {
        await client.delete(Task, keyOf({ metadata }), { uid, propagationPolicy: 'Background' });
      } catch (error) {
        asked.delete(uid);
        throw error;
      }
    }
    return plan.lookAgainAfterMs === undefined ? done : requeueAfter(plan.lookAgainAfterMs);
  };

  const reconcile = async (request: ObjectKey): Promise<Outcome> => {
    const task = tasks.get(request);
    if (!task) return done;
    const isDeleting = task.metadata.deletionTimestamp !== undefined;
    if (isDeleting && !task.spec.binding && task.metadata.finalizers?.includes(TASK_CLEANUP_FINALIZER)) {
      // Never bound, so no agent will do it.
      await removeFinalizer(client, Task, task, TASK_CLEANUP_FINALIZER);
      return done;
    }
    if (hasEnded(task)) return collect(task);
    if (!task.spec.binding && task.spec.desiredState === 'Killed') {
      const change = {
        state: 'Killed',
        reason: 'TaskKilledDuringLaunch',
        message: 'killed before it was placed',
      } as const;
      await patchStatus(client, Task, task, statusAfter(task, change, clock.now()));
    }
    return done;
  };

  manager
    .controller('task')
    .for(Task, isWorthALook)
    .watches(Framework, (framework) =>
      tasks.byIndex(INDEX, groupKey(framework.metadata.namespace, framework.metadata.name)).slice(0, 1).map(keyOf),
    )
    .with(reconcile, { concurrency: 2 });
}

/** Ended tasks, and unbound ones that are to end; once each, and again when that changes. */
function isWorthALook({ old, new: next }: Change<TaskDocument>): boolean {
  if (!next || !needsLook(next)) return false;
  if (!old || !needsLook(old)) return true;
  return hasEnded(old) !== hasEnded(next) || old.metadata.deletionTimestamp !== next.metadata.deletionTimestamp;
}

function needsLook(task: TaskDocument): boolean {
  const isUnbound = !task.spec.binding;
  return (
    hasEnded(task) ||
    (isUnbound && (task.spec.desiredState === 'Killed' || task.metadata.deletionTimestamp !== undefined))
  );
}

function policyFor(
  task: TaskDocument,
  frameworks: Store<FrameworkDocument>,
  options: TaskControllerOptions,
): HistoryPolicy {
  const { standaloneHistory = 100, standaloneTtlMs = 24 * 3600_000 } = options;
  const { namespace } = task.metadata;
  const { frameworkName } = task.spec;
  if (!frameworkName) {
    return { finished: standaloneHistory, failed: standaloneHistory, total: standaloneHistory, ttlMs: standaloneTtlMs };
  }
  const limits = frameworks.get({ namespace, name: frameworkName })?.spec.historyLimits;
  return { finished: limits?.finished ?? DEFAULT_LIMIT, failed: limits?.failed ?? DEFAULT_LIMIT };
}

function groupOf(task: TaskDocument): string {
  return groupKey(task.metadata.namespace, task.spec.frameworkName);
}

function groupKey(namespace: string | undefined, frameworkName: string | undefined): string {
  return `${namespace}/${frameworkName ?? ''}`;
}
