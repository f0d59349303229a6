/** Keeps volumes: which agent each is on, how much of its disk it takes, and who uses it. */
import type { Volume } from '../../crds/types.generated.ts';
import { agentNamed, forgetUnusedAgent, markAgentImproved } from './agents.ts';
import { type AgentState, type Cluster, type Demand, keyOf, type TaskState, type VolumeState } from './cluster.ts';
import { assignDisks, identityOf, useDisk } from './disks.ts';
import { DISK, requestedAmounts } from './resource-table.ts';
import { matchesSelector } from './selector.ts';

/** Why a volume keeps a task from an agent, or (the first group) from every agent. */
export type VolumeProblem =
  | 'VolumeNotFound'
  | 'VolumeBeingDeleted'
  | 'VolumeLost'
  | 'VolumeInUse'
  | 'VolumeNotBound'
  | 'VolumeNoSuchDisk'
  | 'VolumeDiskFull'
  | 'VolumeDataOnOtherAgent'
  | 'VolumeOnOtherAgent'
  | 'VolumePlacementMismatch';

/** Takes over what a Volume document says. A binding made by this process is kept until the document shows one. */
export function upsertVolume(cluster: Cluster, document: Volume): void {
  const key = keyOf(document.metadata?.namespace, document.metadata?.name ?? '');
  const volume = volumeNamed(cluster, key);
  const uid = document.metadata?.uid ?? '';
  const bound = document.status?.agentName || undefined;
  const keepsAssumption = volume.assumed && volume.uid === uid && !bound;
  const agentName = keepsAssumption ? volume.agentName : bound;
  const { spec } = document;
  const sizeBytes = requestedAmounts(cluster.resources, { disk: spec.size })[DISK] ?? 0;
  const diskName = keepsAssumption ? volume.diskName : document.status?.diskName || undefined;
  const moved =
    !volume.known || volume.agentName !== agentName || volume.sizeBytes !== sizeBytes || volume.diskName !== diskName;
  if (moved) releaseDisk(cluster, volume);
  volume.known = true;
  volume.uid = uid;
  volume.exclusive = spec.access !== 'Shared';
  volume.sizeBytes = sizeBytes;
  volume.diskType = spec.disk?.type ?? 'Root';
  volume.wantedDisk = spec.disk?.name;
  volume.profile = spec.disk?.profile;
  volume.diskName = diskName;
  volume.identity = identityOf(document);
  volume.immediate = spec.bindingMode === 'Immediate';
  volume.deleting = document.metadata?.deletionTimestamp !== undefined;
  volume.wantedAgentName = spec.placement?.agentName;
  volume.selector = spec.placement?.agentSelector;
  volume.assumed = keepsAssumption;
  volume.agentName = agentName;
  if (moved) takeDisk(cluster, volume);
  noteUnbound(cluster, volume);
  markShapesOf(cluster, volume);
}

export function removeVolume(cluster: Cluster, key: string): void {
  const volume = cluster.volumes.get(key);
  if (!volume) return;
  releaseDisk(cluster, volume);
  volume.known = false;
  volume.agentName = undefined;
  volume.diskName = undefined;
  volume.assumed = false;
  cluster.unboundVolumes.delete(volume);
  markShapesOf(cluster, volume);
  forgetUnusedVolume(cluster, volume);
}

/** Counts a binding before the document shows it. `diskName`: of the agent's disks, undefined for the root disk. */
export function assumeVolume(cluster: Cluster, volume: VolumeState, agentName: string, diskName?: string): void {
  volume.agentName = agentName;
  volume.diskName = diskName;
  volume.assumed = true;
  takeDisk(cluster, volume);
  cluster.unboundVolumes.delete(volume);
  markShapesOf(cluster, volume);
}

/** Takes a binding back that could not be written. */
export function unassumeVolume(cluster: Cluster, key: string, uid: string): void {
  const volume = cluster.volumes.get(key);
  if (!volume?.assumed || volume.uid !== uid) return;
  releaseDisk(cluster, volume);
  volume.agentName = undefined;
  volume.diskName = undefined;
  volume.assumed = false;
  noteUnbound(cluster, volume);
  markShapesOf(cluster, volume);
}

/** The volume's state; made if only a task has spoken of it so far. */
export function volumeNamed(cluster: Cluster, key: string): VolumeState {
  const known = cluster.volumes.get(key);
  if (known) return known;
  const volume: VolumeState = {
    key,
    known: false,
    uid: '',
    exclusive: true,
    sizeBytes: 0,
    diskType: 'Root',
    wantedDisk: undefined,
    profile: undefined,
    diskName: undefined,
    identity: '',
    immediate: false,
    deleting: false,
    agentName: undefined,
    assumed: false,
    wantedAgentName: undefined,
    selector: undefined,
    reported: undefined,
    triedAtChange: -1,
    users: new Set(),
    shapes: new Set(),
  };
  cluster.volumes.set(key, volume);
  return volume;
}

/** Notes that a task holds its volumes, or no longer does. */
export function useVolumes(cluster: Cluster, task: TaskState, uses: boolean): void {
  for (const key of task.demand.volumeKeys) {
    const volume = volumeNamed(cluster, key);
    if (uses) volume.users.add(task.key);
    else volume.users.delete(task.key);
    markShapesOf(cluster, volume);
    forgetUnusedVolume(cluster, volume);
  }
}

/** Why no agent at all can take the demand because of a volume. */
export function volumeProblemEverywhere(
  cluster: Cluster,
  demand: Demand,
): { problem: VolumeProblem; key: string } | undefined {
  for (const key of demand.volumeKeys) {
    const volume = cluster.volumes.get(key);
    if (!volume?.known) return { problem: 'VolumeNotFound', key };
    if (volume.deleting) return { problem: 'VolumeBeingDeleted', key };
    if (volume.agentName !== undefined && isLost(cluster, volume.agentName)) return { problem: 'VolumeLost', key };
    if (volume.exclusive && volume.users.size > 0) return { problem: 'VolumeInUse', key };
    if (volume.immediate && volume.agentName === undefined && !demand.isVolume)
      return { problem: 'VolumeNotBound', key };
  }
  return undefined;
}

/** Why this agent cannot take the demand because of a volume (volumeProblemEverywhere was asked before). */
export function volumeProblemOn(
  cluster: Cluster,
  demand: Demand,
  agent: AgentState,
): { problem: VolumeProblem; key: string } | undefined {
  for (const key of demand.volumeKeys) {
    const volume = cluster.volumes.get(key)!;
    if (volume.agentName !== undefined) {
      if (volume.agentName !== agent.name) return { problem: 'VolumeOnOtherAgent', key };
    } else if (
      (volume.wantedAgentName !== undefined && volume.wantedAgentName !== agent.name) ||
      !matchesSelector(volume.selector, agent.labels)
    ) {
      return { problem: 'VolumePlacementMismatch', key };
    }
  }
  return diskProblemOn(cluster, demand, agent);
}

/** Disks of this agent for the demand's volumes that are not bound yet, by the volume's key; undefined stands for the root disk. */
export function disksForUnbound(cluster: Cluster, demand: Demand, agent: AgentState): Map<string, string | undefined> {
  const assigned = assignDisks(cluster, agent, unboundVolumesOf(cluster, demand));
  return 'problem' in assigned ? new Map() : assigned.disks;
}

function diskProblemOn(
  cluster: Cluster,
  demand: Demand,
  agent: AgentState,
): { problem: VolumeProblem; key: string } | undefined {
  const volumes = unboundVolumesOf(cluster, demand);
  if (volumes.every(isPlain) && cluster.retained.size === 0) return undefined;
  const assigned = assignDisks(cluster, agent, volumes);
  return 'problem' in assigned ? assigned : undefined;
}

function unboundVolumesOf(cluster: Cluster, demand: Demand): VolumeState[] {
  return unwrittenVolumes(cluster, demand).filter((volume) => volume.agentName === undefined);
}

function isPlain({ diskType, profile }: VolumeState): boolean {
  return diskType === 'Root' && profile === undefined;
}

/** Volumes of the demand that no document shows to be bound. */
export function unwrittenVolumes(cluster: Cluster, demand: Demand): VolumeState[] {
  const volumes = new Set(demand.volumeKeys.map((key) => cluster.volumes.get(key)));
  return [...volumes].filter(
    (volume) => volume !== undefined && (volume.agentName === undefined || volume.assumed),
  ) as VolumeState[];
}

/** Space of the root disk for the volumes that the first task of the demand binds to its own agent. */
export function unboundBytes(cluster: Cluster, demand: Demand): number {
  if (demand.volumeKeys.length === 0) return 0;
  return unwrittenVolumes(cluster, demand)
    .filter((volume) => volume.agentName === undefined && volume.diskType === 'Root')
    .reduce((sum, volume) => sum + volume.sizeBytes, 0);
}

/** Data on an agent that is gone, or whose document was deleted, is out of reach for good - but never counted as deleted. */
function isLost(cluster: Cluster, agentName: string): boolean {
  const agent = cluster.agents.get(agentName);
  return !agent?.known || agent.closed === 'AgentGone';
}

function noteUnbound(cluster: Cluster, volume: VolumeState): void {
  volume.triedAtChange = -1;
  if (volume.immediate && !volume.deleting && volume.agentName === undefined) {
    cluster.unboundVolumes.add(volume);
  } else {
    cluster.unboundVolumes.delete(volume);
  }
}

function takeDisk(cluster: Cluster, volume: VolumeState): void {
  if (volume.agentName === undefined) return;
  const agent = agentNamed(cluster, volume.agentName);
  if (volume.diskType === 'Root') agent.used[DISK] = (agent.used[DISK] ?? 0) + volume.sizeBytes;
  else useDisk(agent, volume, 1);
  cluster.changes += 1;
}

function releaseDisk(cluster: Cluster, volume: VolumeState): void {
  if (!volume.known || volume.agentName === undefined) return;
  const agent = agentNamed(cluster, volume.agentName);
  if (volume.diskType === 'Root') agent.used[DISK] = (agent.used[DISK] ?? 0) - volume.sizeBytes;
  else useDisk(agent, volume, -1);
  markAgentImproved(cluster, agent);
  forgetUnusedAgent(cluster, agent);
}

function markShapesOf(cluster: Cluster, volume: VolumeState): void {
  for (const key of volume.shapes) {
    const shape = cluster.shapes.get(key);
    if (shape) cluster.dirtyShapes.add(shape);
  }
}

/** Drops the state of a volume that has no document and that no task speaks of. */
export function forgetUnusedVolume(cluster: Cluster, volume: VolumeState): void {
  if (!volume.known && volume.users.size === 0 && volume.shapes.size === 0) cluster.volumes.delete(volume.key);
}
