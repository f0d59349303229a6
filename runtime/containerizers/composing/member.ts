/** A containerizer that may be there: what can be said of it without opening it. */
import type { AgentContainerizer, AgentNetwork, Task } from '../../../crds/types.generated.ts';
import type { Containerizer } from '../containerizer.ts';

export type MemberName = 'native' | 'oci' | 'docker';

export interface Member {
  readonly name: MemberName;
  /** Why it cannot be used on this machine; undefined when it can. Cheap: asked for each task. */
  problem(): string | undefined;
  /** As Containerizer.unsupported. */
  unsupported(task: Task): string[];
  /** As Containerizer.pullsImages. */
  readonly pullsImages?: boolean;
  /** As Containerizer.hasOwnNetworks. */
  readonly hasOwnNetworks?: boolean;
  /** As Containerizer.networks. */
  networks?(): Promise<AgentNetwork[]>;
  /** Whether an earlier agent process left containers with it. */
  hasLeftovers(): boolean;
  /** For Agent.status. */
  describe(): Promise<AgentContainerizer> | AgentContainerizer;
  open(): Promise<Containerizer>;
}
