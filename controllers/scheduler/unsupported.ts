/** Fields that the scheduler would have to honour and does not yet. What names them is refused with a reason, never placed as if they were not there. */
import type { Agent, Task } from '../../crds/types.generated.ts';

/** The first field of a task that cannot be honoured. */
export function unsupportedTaskField(task: Task): string | undefined {
  if (task.spec.revocable) return 'spec.revocable';
  return undefined;
}

/** Whether part of the agent is set aside for roles: until that is kept to, nothing is placed there rather than on what belongs to others. */
export function hasReservations(agent: Agent): boolean {
  return (agent.spec?.reservations ?? []).length > 0 || (agent.spec?.defaultRole ?? '*') !== '*';
}
