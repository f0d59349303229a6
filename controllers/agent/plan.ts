/**
 * What to do about one agent and the tasks bound to it. Pure and total; the time comes in as intervals of this process's own clock. The plan
 * of a settled agent is [].
 */
import type { Agent, AgentStatus, Task } from '../../crds/types.generated.ts';
import { timestamp } from '../machinery/clock.ts';
import { findCondition, type NewCondition, removeCondition, setCondition } from '../machinery/conditions.ts';
import { hasEnded, TASK_CLEANUP_FINALIZER } from '../task/states.ts';
import type { StateChange } from '../task/status-change.ts';
import { allocationOf } from './allocated.ts';
import type { LeaseView } from './lease-observer.ts';

export interface Observed {
  name: string;
  /** Undefined: there is no such document (any more). */
  agent: Agent | undefined;
  lease: LeaseView;
  /** All that are bound to this name, ended ones included. */
  tasks: readonly Task[];
  /** Whether the lease's age was confirmed by a read just now, and the rate limit lets this agent go. */
  removalAllowed: boolean;
  /** How long ago status.allocated was written; Infinity if never. */
  allocatedWrittenMsAgo: number;
  allocatedEveryMs: number;
}

export type Action =
  | { type: 'WriteStatus'; status: AgentStatus }
  | { type: 'ChangeTask'; task: Task; change: StateChange }
  | { type: 'RemoveFinalizer'; task: Task }
  /** The lease has expired: read it, ask the rate limit, and plan again with `removalAllowed`. */
  | { type: 'ConfirmRemoval' }
  /** Nobody is left that the lease could be about. */
  | { type: 'DeleteLease' }
  | { type: 'LookAgainAfter'; ms: number };

/** What the agent's operator or its silence means for it. */
type Standing = 'alive' | 'unreachable' | 'gone' | 'deleted';

export function plan(observed: Observed, nowMs: number): Action[] {
  const { agent, lease, tasks } = observed;
  const isExpired = lease.unchangedForMs > lease.durationMs;
  // A document deleted under a living agent is written again by it: only silence makes the deletion final.
  const needsRemoval = isExpired && !agent?.spec.gone && (agent ? !isGivenUp(agent) : tasks.length > 0 || lease.exists);
  if (needsRemoval && !observed.removalAllowed) return [{ type: 'ConfirmRemoval' }];

  const standing: Standing = agent?.spec.gone ? 'gone' : !isExpired ? 'alive' : agent ? 'unreachable' : 'deleted';
  const actions = tasks.flatMap((task) => planTask(task, standing, observed.name));
  if (agent) actions.push(...planStatus(observed, agent, isExpired, nowMs));
  if (standing === 'deleted' && lease.exists) actions.push({ type: 'DeleteLease' });
  const isWaiting = !isExpired && (agent !== undefined || tasks.length > 0 || lease.exists);
  if (isWaiting) actions.push({ type: 'LookAgainAfter', ms: lease.durationMs - lease.unchangedForMs + 1 });
  return actions;
}

function planTask(task: Task, standing: Standing, agent: string): Action[] {
  const actions: Action[] = [];
  const change = hasEnded(task) ? undefined : taskChange(task, standing, agent);
  if (change) actions.push({ type: 'ChangeTask', task, change });
  const isLost = standing === 'gone' || standing === 'deleted';
  const isHeld =
    task.metadata.deletionTimestamp !== undefined && task.metadata.finalizers?.includes(TASK_CLEANUP_FINALIZER);
  if (isLost && isHeld) actions.push({ type: 'RemoveFinalizer', task });
  return actions;
}

function taskChange(task: Task, standing: Standing, agent: string): StateChange | undefined {
  switch (standing) {
    case 'alive':
      // A task that is Unreachable is taken back by the agent itself, which alone knows what became of it.
      return undefined;
    case 'unreachable':
      if (task.status?.state === 'Unreachable') return undefined;
      return {
        state: 'Unreachable',
        reason: 'AgentRemoved',
        message: `agent ${agent} is out of reach; the task may still run there`,
      };
    case 'gone':
      return {
        state: 'GoneByOperator',
        reason: 'AgentRemovedByOperator',
        message: `the operator declared agent ${agent} lost for ever`,
      };
    case 'deleted':
      return {
        state: 'Gone',
        reason: 'AgentRemoved',
        message: `agent ${agent} was deleted and does not report any more`,
      };
  }
}

/** Whether the document says already that the agent is out of reach. */
function isGivenUp(agent: Agent): boolean {
  return findCondition(agent.status?.conditions, 'Reachable')?.status === 'False';
}

function planStatus(observed: Observed, agent: Agent, isExpired: boolean, nowMs: number): Action[] {
  const before = agent.status ?? {};
  const now = timestamp({ now: () => nowMs });
  let conditions = before.conditions;
  for (const condition of wantedConditions(agent, isExpired, observed.lease))
    conditions = setCondition(conditions, condition, now);
  if (!agent.spec.drain) conditions = removeCondition(conditions, 'Drained');

  // Tasks of a machine that is gone end with this very plan.
  const allocation = allocationOf(agent.spec.gone ? [] : observed.tasks);
  const isAllocationOld = before.tasks !== allocation.tasks || !isSameResources(before.allocated, allocation.allocated);
  const isTooEarly = observed.allocatedWrittenMsAgo < observed.allocatedEveryMs;
  const actions: Action[] = [];
  const status: AgentStatus = {
    ...before,
    ...(conditions === undefined ? {} : { conditions }),
    ...(isAllocationOld && !isTooEarly ? allocation : {}),
    unreachableTime: isExpired
      ? (before.unreachableTime ?? now)
      : isGivenUp(agent)
        ? before.unreachableTime
        : undefined,
  };
  const isChanged =
    conditions !== before.conditions ||
    (isAllocationOld && !isTooEarly) ||
    status.unreachableTime !== before.unreachableTime;
  if (isChanged) actions.push({ type: 'WriteStatus', status });
  if (isAllocationOld && isTooEarly) {
    actions.push({ type: 'LookAgainAfter', ms: observed.allocatedEveryMs - observed.allocatedWrittenMsAgo });
  }
  return actions;
}

function wantedConditions(agent: Agent, isExpired: boolean, lease: LeaseView): NewCondition[] {
  const wanted: NewCondition[] = [];
  const observedGeneration = agent.metadata.generation;
  const silent = `no heartbeat for ${Math.round(lease.durationMs / 1000)} s`;
  if (isExpired)
    wanted.push({
      type: 'Reachable',
      status: 'False',
      reason: 'AgentUnreachable',
      message: silent,
      observedGeneration,
    });
  if (agent.spec.gone) {
    const message = 'the operator marked this agent gone (spec.gone)';
    wanted.push({ type: 'Ready', status: 'False', reason: 'AgentRemovedByOperator', message, observedGeneration });
  } else if (isExpired) {
    wanted.push({ type: 'Ready', status: 'Unknown', reason: 'AgentUnreachable', message: silent, observedGeneration });
  } else if (!findCondition(agent.status?.conditions, 'Ready')) {
    const message = 'the agent has not registered yet';
    wanted.push({ type: 'Ready', status: 'Unknown', reason: 'AgentNotRegistered', message, observedGeneration });
  }
  if (agent.spec.drain) {
    const message =
      'spec.drain is not implemented yet: no new tasks are placed here, but running ones go on; delete or kill them yourself';
    wanted.push({ type: 'Drained', status: 'False', reason: 'NotImplemented', message, observedGeneration });
  }
  return wanted;
}

function isSameResources(one: object | undefined, other: object): boolean {
  const [left, right] = [Object.entries(one ?? {}), Object.entries(other)];
  const values = new Map<string, unknown>(right);
  return left.length === right.length && left.every(([name, value]) => values.get(name) === value);
}
