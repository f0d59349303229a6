/**
 * What becomes of tasks whose agent is out of reach (Marathon's unreachableStrategy): after a while a replacement is made, later the task is
 * given up and ends when its agent returns. Tasks with volumes are never replaced so: their data is there, and they may well still run.
 */
import type { UnreachableStrategy } from '../../crds/types.generated.ts';
import type { TaskView } from './task-view.ts';
import { earliest } from './times.ts';

export interface Unreachable {
  /** No longer counted: replacements may be made. */
  inactive: Set<TaskView>;
  /** To be ended when they come back. */
  expunged: TaskView[];
  lookAgainAtMs: number | undefined;
}

export function judgeUnreachable(
  tasks: readonly TaskView[],
  strategy: UnreachableStrategy | undefined,
  nowMs: number,
): Unreachable {
  const result: Unreachable = { inactive: new Set(), expunged: [], lookAgainAtMs: undefined };
  if (strategy?.disabled) return result;
  const inactiveAfterMs = (strategy?.inactiveAfterSeconds ?? 0) * 1000;
  const expungeAfterMs = Math.max(inactiveAfterMs, (strategy?.expungeAfterSeconds ?? 0) * 1000);
  for (const task of tasks) {
    if (task.unreachableSinceMs === undefined || task.deleting || task.hasVolumes) continue;
    const forMs = nowMs - task.unreachableSinceMs;
    if (forMs >= inactiveAfterMs) result.inactive.add(task);
    if (forMs >= expungeAfterMs) {
      result.expunged.push(task);
    } else {
      const nextMs = forMs >= inactiveAfterMs ? expungeAfterMs : inactiveAfterMs;
      result.lookAgainAtMs = earliest(result.lookAgainAtMs, task.unreachableSinceMs + nextMs);
    }
  }
  return result;
}
