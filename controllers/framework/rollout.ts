/**
 * How far a Service may be from its declared size while a new template is rolled out (Marathon's upgrade strategy), and which old tasks may
 * end now.
 */
import type { FrameworkSpec } from '../../crds/types.generated.ts';
import { inKillOrder } from './kill-order.ts';
import type { TaskView } from './task-view.ts';

export interface Capacities {
  /** At least so many tasks stay available. */
  minimum: number;
  /** At most so many tasks at a time. */
  maximum: number;
}

/**
 * With volumes there is no second task beside the first: both would want the same data. Capacities that leave no room to move at all get
 * room for one task, as in Marathon: one more, or with volumes one less.
 */
export function rolloutCapacities(spec: FrameworkSpec, desired: number): Capacities {
  const { type, minimumHealthCapacity = 1, maximumOverCapacity = 1 } = spec.updateStrategy ?? {};
  if (type === 'Recreate') return { minimum: 0, maximum: desired };
  const resident = hasOwnVolumes(spec);
  const minimum = Math.ceil(desired * minimumHealthCapacity - 1e-9);
  const maximum = resident ? desired : Math.floor(desired * (1 + maximumOverCapacity) + 1e-9);
  if (minimum < desired || maximum > desired) return { minimum, maximum };
  return resident ? { minimum: Math.max(0, desired - 1), maximum } : { minimum, maximum: desired + 1 };
}

/** Old tasks that may end now without fewer than `minimum` staying available. */
export function oldTasksToEnd(
  spec: FrameworkSpec,
  { minimum }: Capacities,
  old: readonly TaskView[],
  updated: readonly TaskView[],
  isAvailable: (task: TaskView) => boolean,
  oldOnesEnding: boolean,
): TaskView[] {
  const available = [...old, ...updated].filter(isAvailable).length;
  let budget = Math.max(0, available - minimum);
  if (budget === 0 && !oldOnesEnding && updated.some(isHeldUpByOldTask)) budget = 1;
  const ending: TaskView[] = [];
  for (const task of inKillOrder(old, spec.killSelection)) {
    if (!isAvailable(task)) {
      ending.push(task);
    } else if (budget > 0) {
      ending.push(task);
      budget -= 1;
    }
  }
  return ending;
}

/** Whether tasks of the Framework share volumes, so that two with one index cannot be side by side. */
export function hasOwnVolumes(spec: FrameworkSpec): boolean {
  return (spec.volumeTemplates ?? []).length > 0;
}

/**
 * A new task may want what only an old one has: its fixed host port, its exclusive volume, its agent. Then no capacity helps, and waiting
 * would be for ever; the old task ends first.
 */
function isHeldUpByOldTask({ unplacedReasons }: TaskView): boolean {
  return unplacedReasons.some((reason) => HELD_BY_ONE.has(reason));
}

const HELD_BY_ONE: ReadonlySet<string> = new Set(['HostPortInUse', 'VolumeInUse', 'UnfulfilledConstraint']);
