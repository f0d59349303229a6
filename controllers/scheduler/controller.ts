/** Wires the scheduler: documents -> the cluster's state -> plan -> writes. One loop for all tasks; it never waits for a write. */
import type { Task as TaskDocument } from '../../crds/types.generated.ts';
import { Agent, FrameworkRole, Task, Volume } from '../machinery/client/resources.ts';
import { timestamp } from '../machinery/clock.ts';
import type { Controller } from '../machinery/controller/controller.ts';
import { keyText } from '../machinery/key.ts';
import type { Manager } from '../machinery/manager/manager.ts';
import { done, requeueAfter } from '../machinery/outcome.ts';
import type { Informer } from '../machinery/store/informer.ts';
import { removeAgent, upsertAgent } from './agents.ts';
import { lacksScheduledCondition } from './bind.ts';
import { type Cluster, createCluster } from './cluster.ts';
import { type Action, plan } from './plan.ts';
import { registerRoleStatus } from './role-status.ts';
import { removeRole, roleOfDocument, upsertRole } from './roles.ts';
import { removeTask, upsertTask } from './tasks.ts';
import { removeVolume, upsertVolume } from './volumes.ts';
import { createWritePool } from './write-pool.ts';
import { createWriter } from './writer.ts';

/** There is one thing to reconcile: all that waits. */
const CLUSTER = { name: 'cluster' };

/** An agent reports a task within this time, and with that says that it is placed; the scheduler says so itself only if it does not. */
const LEAVE_TO_AGENT_MS = 1000;

/** Binds waiting Tasks, and Volumes, to Agents, and says of the others why they wait. */
export function registerSchedulerController(manager: Manager): void {
  const cluster = createCluster();
  const { clock } = manager;
  follow(manager, cluster);
  registerRoleStatus(manager, cluster);
  const binds = createWritePool(64);
  // Apart, so that no placement waits behind the explanations of ten thousand tasks without a place.
  const reports = createWritePool(8);
  let controller: Controller | undefined;
  const writer = createWriter({
    cluster,
    client: manager.client,
    tasks: manager.informer(Task).store,
    volumes: manager.informer(Volume).store,
    events: manager.events('tepui.dev/scheduler'),
    logger: manager.logger,
    time: () => timestamp(clock),
    planAgain: () => controller?.enqueue(CLUSTER),
    retryIn: (ms, retry) => clock.schedule(ms, retry),
  });
  manager.add({
    name: 'scheduler writes',
    start: async (signal) => {
      markPlacedTasks(manager.informer(Task), signal, (key) =>
        clock.schedule(LEAVE_TO_AGENT_MS, () => {
          if (!signal.aborted) reports.run(() => writer.markPlaced(key));
        }),
      );
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      await Promise.all([binds.idle(), reports.idle()]);
    },
  });

  controller = manager
    .controller('scheduler')
    .for(Agent, () => false)
    .watches(Task, () => [CLUSTER])
    .watches(Agent, () => [CLUSTER])
    .watches(Volume, () => [CLUSTER])
    .watches(FrameworkRole, () => [CLUSTER])
    .with(async () => {
      let againAfterMs: number | undefined;
      for (const action of plan(cluster, clock.now())) {
        if (action.type === 'PlanAgain') againAfterMs = action.afterMs;
        else if (isReport(action)) reports.run(() => writer.write(action));
        else binds.run(() => writer.write(action));
      }
      return againAfterMs === undefined ? done : requeueAfter(againAfterMs);
    });
}

function isReport({ type }: Action): boolean {
  return type === 'ReportUnplaced' || type === 'ReportVolumeUnplaced';
}

/** Keeps the cluster's state as the documents say. These listeners come before those that cause a plan. */
function follow(manager: Manager, cluster: Cluster): void {
  manager.informer(Agent).onChange(({ key, new: agent }) => {
    if (agent) upsertAgent(cluster, agent);
    else removeAgent(cluster, key.name);
  });
  manager.informer(Volume).onChange(({ key, new: volume }) => {
    if (volume) upsertVolume(cluster, volume);
    else removeVolume(cluster, keyText(key));
  });
  manager.informer(FrameworkRole).onChange(({ new: role, old }) => {
    if (role) upsertRole(cluster, role);
    else if (old) removeRole(cluster, roleOfDocument(old));
  });
  manager.informer(Task).onChange(({ key, new: task }) => {
    if (task) upsertTask(cluster, task);
    else removeTask(cluster, keyText(key));
  });
}

/** Calls back, once at a time per task, for tasks that are placed and do not say so. */
function markPlacedTasks(tasks: Informer<TaskDocument>, signal: AbortSignal, mark: (key: string) => void): void {
  const stop = tasks.onChange(({ key, new: task, old }) => {
    if (!task || !lacksScheduledCondition(task)) return;
    // Only the change that placed it (or the first sight of it) starts the wait.
    if (!old?.spec.binding || old.metadata.uid !== task.metadata.uid) mark(keyText(key));
  });
  signal.addEventListener('abort', stop, { once: true });
}
