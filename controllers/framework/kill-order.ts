import type { FrameworkSpec } from '../../crds/types.generated.ts';
import type { TaskView } from './task-view.ts';

/**
 * Which tasks end first: those without a place, then those that are not ready, then by spec.killSelection. The order is total and depends on
 * nothing else, so that a plan made twice from old news names the same tasks.
 */
export function inKillOrder(tasks: readonly TaskView[], selection: FrameworkSpec['killSelection']): TaskView[] {
  const age = selection === 'OldestFirst' ? 1 : -1;
  return [...tasks].sort(
    (a, b) =>
      Number(a.placed) - Number(b.placed) ||
      Number(a.ready) - Number(b.ready) ||
      age * (a.createdAtMs - b.createdAtMs) ||
      age * (a.index - b.index) ||
      (a.name < b.name ? -1 : 1),
  );
}
