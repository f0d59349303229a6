/** One container as this agent process knows it. */
import type { ContainerSpec, Limitation } from '../../isolators/isolator.ts';
import type { LaunchedContainer, Termination } from '../containerizer.ts';

export interface Container {
  containerId: string;
  /** Absent for one that is only taken back to be removed. */
  spec?: ContainerSpec;
  launched?: LaunchedContainer;
  /** Why an isolator had it ended. */
  limitation?: Limitation;
  /** It was ended because what it shared with the task's other containers was lost. */
  groupLost?: true;
  termination: PromiseWithResolvers<Termination>;
  ended: boolean;
  /** The removal under way, shared by all who ask for it. */
  destroying?: Promise<void>;
}

export function newContainer(containerId: string, spec?: ContainerSpec): Container {
  return { containerId, ...(spec && { spec }), termination: Promise.withResolvers<Termination>(), ended: false };
}

export function endContainer(container: Container, termination: Termination): void {
  container.ended = true;
  container.termination.resolve(termination);
}
