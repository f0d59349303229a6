/** Disks of agents beside the root disk: what there is, what volumes take of them, and which disk a volume gets. */
import { parseBytes } from '../../crds/quantity.ts';
import type { Agent, Volume } from '../../crds/types.generated.ts';
import type { AgentState, Cluster, DiskState, VolumeState } from './cluster.ts';

/** What the document declares and the agent found to be usable. */
export function disksOf({ spec, status }: Agent): Map<string, DiskState> {
  const disks = new Map<string, DiskState>();
  for (const { name, type, profile } of spec?.disks ?? []) {
    const found = status?.disks?.find((disk) => disk.name === name);
    const isUsable = found?.capacity !== undefined && found.message === undefined;
    disks.set(name, { name, type, profile, capacityBytes: isUsable ? parseBytes(found.capacity!) : 0 });
  }
  return disks;
}

/** Takes over where the agent has data without a Volume (a gone one has none); returns whether anything changed. */
export function noteRetained(cluster: Cluster, { metadata, spec, status }: Agent): boolean {
  const agentName = metadata?.name ?? '';
  const found = new Map(
    (spec?.gone ? [] : (status?.retainedVolumes ?? [])).map(({ namespace, role, persistenceId, disk }) => [
      identityText(namespace, role, persistenceId),
      disk,
    ]),
  );
  let changed = false;
  for (const [identity, places] of cluster.retained) {
    if (found.has(identity) || !places.delete(agentName)) continue;
    changed = true;
    if (places.size === 0) cluster.retained.delete(identity);
  }
  for (const [identity, disk] of found) {
    const places = cluster.retained.get(identity) ?? new Map<string, string | undefined>();
    if (places.has(agentName) && places.get(agentName) === disk) continue;
    cluster.retained.set(identity, places.set(agentName, disk));
    changed = true;
  }
  return changed;
}

export function identityOf({ metadata, spec }: Volume): string {
  const { namespace = '', name = '' } = metadata ?? {};
  return identityText(namespace, spec.role ?? '*', spec.persistenceId ?? `${namespace}.${name}`);
}

/** Counts a volume on its disk, or (-1) no longer. */
export function useDisk(agent: AgentState, { diskName, sizeBytes }: VolumeState, sign: 1 | -1): void {
  if (diskName === undefined) return;
  const use = agent.diskUse.get(diskName) ?? { bytes: 0, volumes: 0 };
  use.bytes += sign * sizeBytes;
  use.volumes += sign;
  if (use.volumes > 0) agent.diskUse.set(diskName, use);
  else agent.diskUse.delete(diskName);
}

export type Assignment =
  | { disks: Map<string, string | undefined> }
  | { problem: 'VolumeNoSuchDisk' | 'VolumeDiskFull' | 'VolumeDataOnOtherAgent'; key: string };

/**
 * A disk of the agent for each of the volumes, by their keys; undefined stands for the root disk, whose space is counted elsewhere. Where data
 * was retained the volume goes to it. Large volumes choose first; a volume that wants a whole disk takes the smallest that is large enough,
 * others the one with the most room. Pure.
 */
export function assignDisks(cluster: Cluster, agent: AgentState, volumes: readonly VolumeState[]): Assignment {
  const disks = new Map<string, string | undefined>();
  const taken = new Map<string, { bytes: number; volumes: number }>();
  for (const volume of [...volumes].sort((a, b) => b.sizeBytes - a.sizeBytes)) {
    const { key, sizeBytes } = volume;
    const places = cluster.retained.get(volume.identity);
    if (places !== undefined && places.size > 0 && !places.has(agent.name))
      return { problem: 'VolumeDataOnOtherAgent', key };
    const retainedOn = places?.get(agent.name);
    if (volume.diskType === 'Root' && volume.profile === undefined) {
      if (retainedOn !== undefined) return { problem: 'VolumeNoSuchDisk', key };
      disks.set(key, undefined);
      continue;
    }
    const suitable = [...agent.disks.values()].filter(
      ({ name, type, profile }) =>
        type === volume.diskType &&
        (volume.wantedDisk === undefined || volume.wantedDisk === name) &&
        (volume.profile === undefined || volume.profile === profile) &&
        (places === undefined || places.size === 0 || retainedOn === name),
    );
    if (suitable.length === 0) return { problem: 'VolumeNoSuchDisk', key };
    const roomOf = ({ name, type, capacityBytes }: DiskState): number => {
      const used = agent.diskUse.get(name);
      const more = taken.get(name);
      const isTaken = (used?.volumes ?? 0) + (more?.volumes ?? 0) > 0;
      if (type === 'Mount') return isTaken ? 0 : capacityBytes;
      return capacityBytes - (used?.bytes ?? 0) - (more?.bytes ?? 0);
    };
    const ranked = suitable
      .map((disk) => ({ disk, room: roomOf(disk) }))
      .filter(({ room }) => room >= sizeBytes && room > 0)
      .sort(
        (a, b) =>
          (volume.diskType === 'Mount' ? a.room - b.room : b.room - a.room) || (a.disk.name < b.disk.name ? -1 : 1),
      );
    const best = ranked[0]?.disk.name;
    if (best === undefined) return { problem: 'VolumeDiskFull', key };
    disks.set(key, best);
    const before = taken.get(best) ?? { bytes: 0, volumes: 0 };
    taken.set(best, { bytes: before.bytes + sizeBytes, volumes: before.volumes + 1 });
  }
  return { disks };
}

function identityText(namespace: string, role: string, persistenceId: string): string {
  return `${namespace}/${role}/${persistenceId}`;
}
