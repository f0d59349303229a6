/**
 * The networks of tasks: a network namespace per task that needs one, attached to CNI networks, and the files that say who the task is.
 *
 * Guarantees: whatever `setUp` made is recorded before it is made, and taken back by `tearDown`, also when the agent was killed in between, the
 * configuration changed or the machine was restarted. Calls for one group are carried out one after another; groups do not wait for each other.
 */
import type { NetworkInfo, Task } from '../../crds/types.generated.ts';
import type { ContainerNetwork } from '../containerizers/containerizer.ts';
import type { NetworkDescription } from './describe.ts';

export interface TaskNetworkSetup {
  /** Absent: host networking, or a single container without any, with the host's files. */
  network?: ContainerNetwork;
  /** For the task's status. */
  infos: NetworkInfo[];
}

export interface Networks {
  /**
   * Idempotent: a set-up that is complete is returned as it is, one that was cut short is taken back and made anew. Rejects with NetworkSetUpFailed (the
   * launch failed), and has then taken back what it made, or will at `tearDown`.
   */
  setUp(task: Task, groupId: string, signal?: AbortSignal): Promise<TaskNetworkSetup>;
  /** After the group's last container is gone. Idempotent; tolerates unknown ids. Rejects when something could not be taken back: worth a retry. */
  tearDown(groupId: string): Promise<void>;
  /**
   * At the agent's start, before anything else is asked for: takes back what is not expected, and what could not be is tried again in the background. Of
   * what is expected it is checked, also in the background, that it still is as it was made; what is not is logged.
   */
  recover(expectedGroupIds: Iterable<string>): Promise<void>;
  /** Addresses of a task whose set-up is complete, also by an earlier agent process. */
  infosOf(groupId: string): NetworkInfo[] | undefined;
  /** What the configuration directory holds now. */
  describe(): Promise<NetworkDescription>;
  /** Of the configurations. */
  readonly configDirectory: string;
  /** Ends what goes on in the background. Networks stay. */
  close(): Promise<void>;
}

/** The task's network could not be made; the message says which, and gives the plug-in's own words. */
export class NetworkSetUpFailed extends Error {
  override name = 'NetworkSetUpFailed';
}
