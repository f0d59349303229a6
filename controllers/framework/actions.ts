/** All that a plan can ask for. Nothing else changes the world; perform.ts carries them out in order. */
import type { FrameworkStatus, Task, Volume } from '../../crds/types.generated.ts';

export type Action =
  /** Guarded by the resourceVersion that was observed: if it fails, the actions after it are not done. */
  | { type: 'WriteStatus'; status: FrameworkStatus }
  | { type: 'CreateVolume'; volume: Volume }
  | { type: 'CreateTask'; task: Task }
  /** Ends the task by its kill policy; its document goes when its agent has cleaned up. */
  | { type: 'DeleteTask'; name: string; uid: string }
  /** Lets go of an ended Job task that status counts, or that need not be counted. */
  | { type: 'RemoveAccounting'; name: string; uid: string }
  | { type: 'DeleteFramework' }
  | { type: 'RecordEvent'; severity: 'Normal' | 'Warning'; reason: string; action: string; note: string }
  /** Plan again after this time, or earlier if anything changes. */
  | { type: 'PlanAgain'; afterMs: number };
