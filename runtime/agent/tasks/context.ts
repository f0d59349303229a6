/** What the parts of the task loop share. One per agent. */

import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import type { Task } from '../../../crds/types.generated.ts';
import type { CheckpointDirectory } from '../../checkpoint/directory.ts';
import type { Containerizer } from '../../containerizers/containerizer.ts';
import type { Devices } from '../../devices/index.ts';
import type { Fetcher } from '../../fetcher/index.ts';
import type { Images } from '../../images/index.ts';
import type { Networks } from '../../network/index.ts';
import type { DiskLimits } from '../disk-limits/disk-limits.ts';
import type { MemoryVolumes } from '../memory-volumes/memory-volumes.ts';
import type { AgentMetrics } from '../metrics.ts';
import type { IdRanges } from '../node/id-ranges.ts';
import type { AgentIdentity } from './document.ts';
import type { Readiness } from './plan.ts';
import type { TaskRecord } from './record.ts';
import type { Room } from './room.ts';
import type { Slots } from './slots.ts';
import type { TaskPolicy } from './validate.ts';

export interface TaskContext {
  agent: AgentIdentity & { hostname: string };
  client: ApiClient;
  containerizer: Containerizer;
  records: CheckpointDirectory<TaskRecord>;
  /** `setUp` before a task's first container is launched, `tearDown` after its last is destroyed. */
  networks: Networks;
  /** User ids that tasks have for themselves. Absent: none. */
  idRanges?: IdRanges;
  sandboxRoot: string;
  volumes: TaskVolumes;
  /** tmpfs, secret and configMap volumes. */
  memoryVolumes: MemoryVolumes;
  images: Images;
  /** Brings files into sandboxes. */
  fetcher: Fetcher;
  /** Of sandboxes. */
  diskLimits: DiskLimits;
  devices: Devices;
  /** What tasks leave of what this agent offers. */
  room(): Room | undefined;
  /** What the Agent document says now. */
  policy(): AgentPolicy;
  /** Reads the Agent document anew, past the watch: `policy` is then at least as new. Rejects with the client's error. */
  refreshPolicy(): Promise<void>;
  /** Bounds launches and removals that run at once. */
  slots: Slots;
  /** Bounds status writes that run at once. */
  deliverySlots: Slots;
  logger: Logger;
  metrics: AgentMetrics;
  now(): number;
}

/** The part of Agent.spec that decides how tasks run, with its defaults. */
export interface AgentPolicy extends TaskPolicy {
  defaultUser: string;
  defaultPidsLimit: number;
  /** false: containers run as the agent's own user, whatever the document says. */
  switchUser: boolean;
  /** Sandboxes of tasks that are gone are left to housekeeping. */
  keepsSandboxes: boolean;
}

export interface TaskVolumes {
  /** Whether all persistent volumes of the task can be used here now. */
  readiness(task: Task): Readiness;
  /** Host directory of an available volume of this agent, made ready for its user; undefined when there is none. */
  prepare(namespace: string, name: string, user: { uid: number; gid: number }): Promise<string | undefined>;
  /** A task that had these volumes is gone from the machine. */
  released(namespace: string, names: string[]): void;
}
