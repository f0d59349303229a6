import type { Task, TaskState } from '../../crds/types.generated.ts';

const TERMINAL_STATES: ReadonlySet<TaskState> = new Set<TaskState>([
  'Finished',
  'Failed',
  'Killed',
  'Error',
  'Dropped',
  'Gone',
  'GoneByOperator',
]);

/** On every Task that is bound to an agent, until nothing of it is left there. */
export const TASK_CLEANUP_FINALIZER = 'tepui.dev/task-cleanup';

/** Whether the task has ended: it holds nothing any more and its state never changes again. */
export function hasEnded(task: Task): boolean {
  return task.status?.state !== undefined && TERMINAL_STATES.has(task.status.state);
}
