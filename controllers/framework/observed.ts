/** What the framework controller looks at before it decides: all of it data, so that plans can be tested without a server. */
import type { Framework, Task } from '../../crds/types.generated.ts';

export interface Observed {
  readonly framework: Framework;
  /** Tasks that this Framework (by uid) owns, in any state. */
  readonly tasks: readonly Task[];
  /** Whether a Task of this name exists in the namespace, whoever owns it. */
  readonly isTaskNameTaken: (name: string) => boolean;
  /** Whether a Volume of this name exists in the namespace. */
  readonly volumeExists: (name: string) => boolean;
  /** What spec.dependsOn waits for: a sentence for each that is not ready; empty if there is nothing to wait for. */
  readonly unmetDependencies: readonly string[];
  /** Names of Frameworks that depend on each other in a circle through this one. */
  readonly dependencyCycle: readonly string[] | undefined;
  /** What the server said when it refused a Task of this generation. */
  readonly rejection: string | undefined;
}
