/** Wires the volume controller: observe -> plan -> perform. */
import type {
  Agent as AgentDocument,
  Task as TaskDocument,
  Volume as VolumeDocument,
} from '../../crds/types.generated.ts';
import type { ObjectKey } from '../machinery/client/client.ts';
import { Agent, Task, Volume } from '../machinery/client/resources.ts';
import { timestamp } from '../machinery/clock.ts';
import { findCondition } from '../machinery/conditions.ts';
import { addFinalizer, removeFinalizer } from '../machinery/finalizers.ts';
import { keyText, parseKey } from '../machinery/key.ts';
import type { Manager } from '../machinery/manager/manager.ts';
import { done } from '../machinery/outcome.ts';
import { patchStatus } from '../machinery/status.ts';
import type { Store } from '../machinery/store/object-store.ts';
import { type AgentReach, PROTECTION_FINALIZER, plan } from './plan.ts';
import { usesVolumes, volumeKeys } from './users.ts';

/** Protects Volumes while they are used, has their data removed where that was declared, and keeps their status. */
export function registerVolumeController(manager: Manager): void {
  const { client } = manager;
  const volumes = manager.informer(Volume).store;
  const agents = manager.informer(Agent).store;
  const tasks = manager.informer(Task).store;
  tasks.addIndex('volume', volumeKeys);
  volumes.addIndex('agent', volumeAgent);
  const events = manager.events('tepui.dev/volume-controller');

  manager
    .controller('volume')
    .for(Volume)
    .watches(Task, mapTaskToVolumes)
    .watches(Agent, (agent) => mapAgentToVolumes(agent, volumes))
    .with(async (request) => {
      let volume = volumes.get(request);
      if (!volume) return done;
      const users = tasks.byIndex('volume', keyText(request)).filter(usesVolumes);
      const agentName = volume.status?.agentName;
      const observed = {
        volume,
        users: users.map(({ metadata }) => metadata.name ?? ''),
        agent: agentName === undefined ? undefined : reachOf(agents.get({ name: agentName })),
      };
      for (const action of plan(observed, timestamp(manager.clock))) {
        switch (action.type) {
          case 'AddFinalizer':
            volume = await addFinalizer(client, Volume, volume, PROTECTION_FINALIZER);
            break;
          case 'RemoveFinalizer':
            await removeFinalizer(client, Volume, volume, PROTECTION_FINALIZER);
            break;
          case 'WriteStatus':
            await patchStatus(client, Volume, volume, action.status);
            break;
          case 'RecordEvent': {
            const { severity, reason, note, action: what } = action;
            events.record(volume, { type: severity, reason, message: note, action: what });
            break;
          }
        }
      }
      return done;
    });
}

/** Volumes whose users the change of a task may change. */
export function mapTaskToVolumes(task: TaskDocument): ObjectKey[] {
  return volumeKeys(task).map(parseKey);
}

export function mapAgentToVolumes(agent: AgentDocument, volumes: Store<VolumeDocument>): ObjectKey[] {
  return volumes
    .byIndex('agent', agent.metadata.name ?? '')
    .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name! }));
}

/** An agent that is there but not ready still has the data. */
function reachOf(agent: AgentDocument | undefined): AgentReach {
  if (!agent) return 'missing';
  if (agent.spec?.gone) return 'gone';
  const { conditions } = agent.status ?? {};
  const reachable = findCondition(conditions, 'Reachable')?.status;
  const isLost =
    reachable === undefined ? findCondition(conditions, 'Ready')?.status === 'Unknown' : reachable !== 'True';
  return isLost ? 'unreachable' : 'reachable';
}

function volumeAgent(volume: VolumeDocument): string[] {
  return volume.status?.agentName ? [volume.status.agentName] : [];
}
