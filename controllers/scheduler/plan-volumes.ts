/** Binds volumes that do not wait for a task. The scheduler does it, and not the volume controller, because only it knows what is free. */
import { agentList } from './agents.ts';
import { chooseAgent } from './choose.ts';
import type { Cluster, Demand, VolumeState } from './cluster.ts';
import { explain } from './explain.ts';
import { mayRunOn, startSearch } from './fit.ts';
import type { Action } from './plan.ts';
import { assumeVolume, disksForUnbound } from './volumes.ts';

export function planVolumes(cluster: Cluster): Action[] {
  const actions: Action[] = [];
  for (const volume of cluster.unboundVolumes) {
    if (volume.triedAtChange === cluster.changes) continue;
    const demand = demandOfVolume(volume);
    const eligible = agentList(cluster).filter((agent) => mayRunOn(demand, agent));
    const agent = chooseAgent(cluster, startSearch(cluster, demand), eligible);
    const { key, uid } = volume;
    if (agent) {
      const diskName = disksForUnbound(cluster, demand, agent).get(key);
      assumeVolume(cluster, volume, agent.name, diskName);
      volume.reported = undefined;
      const disk = diskName === undefined ? {} : { diskName };
      actions.push({ type: 'BindVolume', key, uid, agentName: agent.name, agentUid: agent.uid, ...disk });
      continue;
    }
    volume.triedAtChange = cluster.changes;
    const explanation = explain(cluster, demand);
    explanation.message = explanation.message.replace('can run this task', 'can hold this volume');
    if (explanation.message === volume.reported) continue;
    volume.reported = explanation.message;
    actions.push({ type: 'ReportVolumeUnplaced', key, uid, explanation });
  }
  return actions;
}

function demandOfVolume(volume: VolumeState): Demand {
  return {
    key: `volume ${volume.key}`,
    priority: 0,
    role: '*',
    frameworkKey: `volume ${volume.key}`,
    // Of the root disk the search adds what the volume takes.
    amounts: [],
    ports: [],
    allocatedPorts: 0,
    networks: [],
    agentName: volume.wantedAgentName,
    selector: volume.selector,
    constraints: [],
    volumeKeys: [volume.key],
    isVolume: true,
    unsupported: undefined,
  };
}
