import { isTerminal } from '../../crds/task-states.ts';
import type { Task } from '../../crds/types.generated.ts';

/** On every Task that is bound to an agent, until nothing of it is left there. */
export const TASK_CLEANUP_FINALIZER = 'tepui.dev/task-cleanup';

/** Whether the task has ended. */
export function hasEnded(task: Task): boolean {
  return isTerminal(task.status?.state);
}
