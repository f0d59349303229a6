import type { TaskState } from './types.generated.ts';

/** States that a task never leaves. */
export const TERMINAL_STATES: ReadonlySet<TaskState> = new Set<TaskState>([
  'Finished',
  'Failed',
  'Killed',
  'Error',
  'Dropped',
  'Gone',
  'GoneByOperator',
]);

/** Whether a task of this state has ended: it holds nothing any more, and its state never changes again. */
export function isTerminal(state: string | undefined): boolean {
  return TERMINAL_STATES.has(state as TaskState);
}
