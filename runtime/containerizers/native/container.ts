/** One container as this agent process knows it. */
import type { ContainerSpec, Limitation } from '../../isolators/isolator.ts';
import type { ContainerResources, LaunchedContainer, Termination } from '../containerizer.ts';

export interface Container {
  containerId: string;
  /** Absent for one that is only taken back to be removed. */
  spec?: ContainerSpec;
  launched?: LaunchedContainer;
  /** Why an isolator had it ended. */
  limitation?: Limitation;
  /** It was ended because what it shared with the task's other containers was lost. */
  groupLost?: true;
  /** Of the process that keeps what a group shares: the resources of containers, by id, that were changed and are in its own as they are here. */
  counted?: Record<string, ContainerResources>;
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
