import type { Task as TaskDocument } from '../../crds/types.generated.ts';
import type { ObjectKey } from '../machinery/client/client.ts';
import { isConflict } from '../machinery/client/errors.ts';
import { Agent, Lease, Task } from '../machinery/client/resources.ts';
import { removeFinalizer } from '../machinery/finalizers.ts';
import type { Manager } from '../machinery/manager/manager.ts';
import { done, type Outcome, requeueAfter } from '../machinery/outcome.ts';
import { TokenBucket } from '../machinery/queue/rate-limit.ts';
import { patchStatus } from '../machinery/status.ts';
import { hasEnded, TASK_CLEANUP_FINALIZER } from '../task/states.ts';
import { statusAfter } from '../task/status-change.ts';
import { LeaseObserver } from './lease-observer.ts';
import type { AgentControllerOptions } from './options.ts';
import { type Action, type Observed, plan } from './plan.ts';

export const LEASE_NAMESPACE = 'tepui-agent-leases';
const INDEX = 'agent/boundTo';

/** Notices that agents fall silent, says so, and takes care of their tasks; also sums up what tasks hold on each agent. */
export function registerAgentController(manager: Manager, options: AgentControllerOptions = {}): void {
  const { client, clock } = manager;
  const { leaseNamespace = LEASE_NAMESPACE, allocatedEveryMs = 2_000 } = options;
  const agents = manager.informer(Agent).store;
  const tasks = manager.informer(Task).store;
  const leases = manager.informer(Lease, { namespace: leaseNamespace });
  const events = manager.events('tepui.dev/agent-controller');
  tasks.addIndex(INDEX, boundTo);

  const monotonic = () => clock.monotonic();
  const observer = new LeaseObserver(monotonic, options.leaseDurationMs ?? 75_000);
  const removals = new TokenBucket(monotonic, options.removalsPerSecond ?? 0.1, options.removalBurst ?? 10);
  const allocatedAt = new Map<string, number>();
  leases.onChange((change) => observer.observe(change.key.name, change.new));
  leases.onFailure(() => observer.lostSight());

  const observe = (name: string, removalAllowed: boolean): Observed => ({
    name,
    agent: agents.get({ name }),
    lease: observer.view(name),
    tasks: tasks.byIndex(INDEX, name),
    removalAllowed,
    allocatedWrittenMsAgo: monotonic() - (allocatedAt.get(name) ?? Number.NEGATIVE_INFINITY),
    allocatedEveryMs,
  });

  /** Reads the lease itself, in case the watch is behind or the API server was away; says how long to wait, 0 if the agent may be removed. */
  const confirmRemoval = async (name: string): Promise<number> => {
    const lease = await client.get(Lease, { namespace: leaseNamespace, name });
    observer.observe(name, lease);
    const wasBlind = observer.regainedSight();
    const { unchangedForMs, durationMs } = observer.view(name);
    if (wasBlind || unchangedForMs <= durationMs) return durationMs - unchangedForMs + 1;
    return removals.take() ? 0 : Math.max(1, removals.waitMs());
  };

  const forget = (name: string): void => {
    observer.forget(name);
    allocatedAt.delete(name);
  };

  const act = async (action: Action, observed: Observed): Promise<number | undefined> => {
    switch (action.type) {
      case 'WriteStatus': {
        // The list of conditions is written whole, and the agent writes there too.
        const before = observed.agent!;
        await patchStatus(client, Agent, before, action.status);
        if (action.status.tasks !== before.status?.tasks || action.status.allocated !== before.status?.allocated)
          allocatedAt.set(observed.name, monotonic());
        if (action.status.unreachableTime && !before.status?.unreachableTime) {
          const message = `No heartbeat for ${Math.round(observed.lease.durationMs / 1000)} s; its tasks are Unreachable until it returns.`;
          events.record(before, { type: 'Warning', reason: 'AgentUnreachable', message });
          manager.logger.warn({ agent: observed.name }, 'Agent became unreachable');
        }
        return undefined;
      }
      case 'ChangeTask': {
        const { task, change } = action;
        const changed = await patchStatus(client, Task, task, statusAfter(task, change, clock.now()));
        if (changed)
          events.record(task, { type: 'Warning', reason: `Task${change.state}`, message: `${change.message}.` });
        return undefined;
      }
      case 'RemoveFinalizer':
        await removeFinalizer(client, Task, action.task, TASK_CLEANUP_FINALIZER);
        return undefined;
      case 'DeleteLease':
        await client.delete(Lease, { namespace: leaseNamespace, name: observed.name });
        forget(observed.name);
        return undefined;
      case 'LookAgainAfter':
        return action.ms;
      case 'ConfirmRemoval':
        return confirmRemoval(observed.name);
    }
  };

  const carryOut = async (name: string, removalAllowed: boolean): Promise<Outcome> => {
    const observed = observe(name, removalAllowed);
    let againMs = Number.POSITIVE_INFINITY;
    const failures: unknown[] = [];
    for (const action of plan(observed, clock.now())) {
      try {
        const wait = await act(action, observed);
        if (action.type === 'ConfirmRemoval' && wait === 0) return carryOut(name, true);
        againMs = Math.min(againMs, wait ?? againMs);
      } catch (error) {
        // One task that cannot be written must not hold up the others of the agent.
        failures.push(error);
      }
    }
    if (!observed.agent && observed.tasks.length === 0 && !observed.lease.exists) forget(name);
    if (failures.length > 0) throw failures.find((error) => !isConflict(error)) ?? failures[0];
    return againMs === Number.POSITIVE_INFINITY ? done : requeueAfter(againMs);
  };

  manager
    .controller('agent')
    .for(Agent)
    .watches(Task, mapTaskToAgent, ({ old, new: next }) => isRelevant(old, next))
    .with((request) => carryOut(request.name, false), { concurrency: 4 });
}

function boundTo(task: TaskDocument): string[] {
  const name = task.spec.binding?.agentName;
  return name ? [name] : [];
}

export function mapTaskToAgent(task: TaskDocument): ObjectKey[] {
  return boundTo(task).map((name) => ({ name }));
}

/** Most writes of a task's status change nothing for its agent. */
function isRelevant(old: TaskDocument | undefined, next: TaskDocument | undefined): boolean {
  if (!old || !next) return true;
  return (
    old.spec.binding?.agentName !== next.spec.binding?.agentName ||
    hasEnded(old) !== hasEnded(next) ||
    old.status?.state !== next.status?.state ||
    old.metadata.deletionTimestamp !== next.metadata.deletionTimestamp
  );
}
