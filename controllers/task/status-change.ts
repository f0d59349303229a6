import type { Condition, Task, TaskState, TaskStatus } from '../../crds/types.generated.ts';
import { timestamp } from '../machinery/clock.ts';
import { type NewCondition, setCondition } from '../machinery/conditions.ts';
import { hasEnded } from './states.ts';

/** A state that a controller gives a task, because no agent can. */
export interface StateChange {
  state: TaskState;
  /** A Mesos reason in CamelCase. */
  reason: string;
  message: string;
}

/** As the agent keeps it. */
const HISTORY_LIMIT = 20;

/** The status after a change by a controller. Never call it for a task that has ended. */
export function statusAfter(task: Task, change: StateChange, nowMs: number): TaskStatus {
  const now = timestamp({ now: () => nowMs });
  const { state, reason, message } = change;
  const history = [
    ...(task.status?.history ?? []),
    { state, reason, message, source: 'Controller' as const, time: now },
  ];
  const isEnd = hasEnded({ ...task, status: { state } });
  return {
    ...task.status,
    observedGeneration: task.metadata.generation,
    state,
    reason,
    message,
    source: 'Controller',
    history: history.slice(-HISTORY_LIMIT),
    conditions: conditionsAfter(task, change, isEnd, now),
    ...(state === 'Unreachable' ? { unreachableTime: now } : {}),
    ...(isEnd ? { finishTime: now } : {}),
  };
}

function conditionsAfter(task: Task, { reason, message }: StateChange, isEnd: boolean, now: string): Condition[] {
  const observedGeneration = task.metadata.generation;
  const common: Pick<NewCondition, 'reason' | 'message' | 'observedGeneration'> = {
    reason,
    message,
    observedGeneration,
  };
  const ready = setCondition(
    task.status?.conditions,
    { type: 'Ready', status: isEnd ? 'False' : 'Unknown', ...common },
    now,
  );
  return setCondition(ready, { type: 'Succeeded', status: isEnd ? 'False' : 'Unknown', ...common }, now);
}
