/** What the verbs of the docker containerizer share, and one container as this agent process knows it. */
import type { Logger } from 'pino';
import type { AgentIsolation } from '../../../crds/types.generated.ts';
import type { CgroupHost } from '../../cgroups/detect.ts';
import type { ContainerSpec } from '../../isolators/isolator.ts';
import type { LaunchedContainer, Termination } from '../containerizer.ts';
import type { Orphans } from '../orphans.ts';
import type { Engine } from './engine.ts';
import type { LogCopy } from './log-copier.ts';
import type { DockerRecords } from './records.ts';

export interface DockerContext {
  engine: Engine;
  records: DockerRecords;
  containers: Map<string, DockerContainer>;
  /** Value of the label that marks our containers in the engine. */
  instance: string;
  cgroupHost: CgroupHost;
  /** Path of the group that the engine makes our containers' groups in; undefined where systemd names them. */
  cgroupParent: string | undefined;
  seccompDirectory: string;
  /** The launcher's program, for connections into a container's network. */
  launcherBinary: string;
  policy(): AgentIsolation;
  bootId: string;
  orphans: Orphans;
  logger: Logger;
  /** Aborted when this agent process lets go. */
  closed: AbortSignal;
}

export interface DockerContainer {
  spec: ContainerSpec;
  launched?: LaunchedContainer;
  termination: PromiseWithResolvers<Termination>;
  ended: boolean;
  logs?: LogCopy;
}

export const instanceLabel = 'tepui.dev/instance';
export const containerLabel = 'tepui.dev/container-id';

/** The container's name in the engine. */
export function engineName(containerId: string): string {
  return `tepui-${containerId}`;
}
