/** The agent as a member of its cluster: registered, heard of, and following the documents that concern it. */
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { Agent, Task, Volume } from '../../../controllers/machinery/client/resources.ts';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import type {
  AgentDisk,
  Agent as AgentDocument,
  AgentIsolation,
  Task as TaskDocument,
  Volume as VolumeDocument,
} from '../../../crds/types.generated.ts';
import type { AgentMetrics } from '../metrics.ts';
import type { VolumesReport } from '../volumes/keeper.ts';
import type { AgentFacts } from './agent-status.ts';
import { announceStop } from './announce-stop.ts';
import { type Following, followDocuments } from './documents.ts';
import { type Heartbeat, startHeartbeat } from './heartbeat.ts';
import { type LeaseHolder, releaseLease, renewLease } from './lease.ts';
import { startRegistration } from './registration.ts';

export interface MembershipOptions {
  client: ApiClient;
  holder: LeaseHolder;
  heartbeatIntervalMs: number;
  labels: Record<string, string>;
  facts: AgentFacts;
  /** Its file system is what the disk resource is measured on. */
  workDir: string;
  /** How many whole GPUs the machine has, by this policy. */
  gpus(isolation: AgentIsolation | undefined): number;
  /** Our own document: its spec is this machine's policy. */
  onAgent(agent: AgentDocument): void;
  tasks: {
    documentChanged(task: TaskDocument): void;
    documentDeleted(task: TaskDocument): void;
    documentsComplete(): void;
  };
  volumes: {
    changed(volume: VolumeDocument): void;
    deleted(volume: VolumeDocument): void;
    complete(): void;
    report(declared: readonly AgentDisk[]): Promise<VolumesReport>;
  };
  metrics: AgentMetrics;
  logger: Logger;
}

export interface Membership {
  /** Resolves when registered and all tasks bound to us were seen; on close too. Never rejects. */
  ready: Promise<void>;
  /** `facts` says something else now. */
  factsChanged(): void;
  close(): Promise<void>;
}

/** Goes on in the background; an API server that is away is waited for. No task is looked at before the agent's name is ours. */
export function joinCluster(options: MembershipOptions): Membership {
  const { client, holder, logger } = options;
  const registration = startRegistration({ ...options, volumesReport: options.volumes.report });
  const followings: Following[] = [];
  let heartbeat: Heartbeat | undefined;
  let isClosing = false;

  let latest: AgentDocument | undefined;

  const join = async (): Promise<void> => {
    const registered = await registration.registered;
    if (registered === undefined || isClosing) return;
    latest = registered;
    options.onAgent(registered);
    heartbeat = startHeartbeat({
      intervalMs: options.heartbeatIntervalMs,
      renew: () => renewLease(client, holder, new Date()),
      onResult(ok, recovered) {
        options.metrics.heartbeat(ok);
        // After a time without heartbeats the controllers may have given us up: have another look at our document.
        // And its disks may have come or gone.
        if (recovered || (latest?.spec.disks ?? []).length > 0) registration.documentChanged(latest);
      },
      logger,
    });
    const { name } = holder;
    const tasks = followDocuments({
      client,
      logger,
      resource: Task,
      fieldSelector: `spec.binding.agentName=${name}`,
      accepts: ({ spec }) => spec.binding?.agentName === name,
      onChanged: options.tasks.documentChanged,
      onDeleted: options.tasks.documentDeleted,
    });
    const volumes = followDocuments({
      client,
      logger,
      resource: Volume,
      fieldSelector: `status.agentName=${name}`,
      accepts: ({ status }) => status?.agentName === name,
      onChanged: options.volumes.changed,
      onDeleted: options.volumes.deleted,
    });
    const agent = followDocuments({
      client,
      logger,
      resource: Agent,
      fieldSelector: `metadata.name=${name}`,
      accepts: ({ metadata }) => metadata.name === name,
      onChanged(changed) {
        latest = changed;
        options.onAgent(changed);
        registration.documentChanged(changed);
      },
      onDeleted() {
        // Or the next change of facts would be held against a document that is no more, and be found in it.
        latest = undefined;
        registration.documentChanged(undefined);
      },
    });
    void volumes.synced.then(() => !isClosing && options.volumes.complete());
    followings.push(tasks, volumes, agent);
    await tasks.synced;
    if (isClosing) return;
    options.tasks.documentsComplete();
    logger.info({ agent: name }, 'agent follows its tasks');
  };

  const ready = join();
  return {
    ready,
    factsChanged: () => registration.documentChanged(latest),
    async close() {
      isClosing = true;
      await registration.close();
      await Promise.all(followings.map((following) => following.close()));
      await ready;
      if (heartbeat === undefined) return;
      await heartbeat.close();
      if (latest) await announceStop(client, latest);
      await releaseLease(client, holder).catch(() => {});
    },
  };
}
