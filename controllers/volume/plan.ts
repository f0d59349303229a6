/**
 * Decides what a Volume needs. The scheduler chooses its agent and the agent makes and removes the directory; this controller protects the
 * document while it matters, asks for the removal of data, and tells how things are.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Condition, Volume, VolumeStatus } from '../../crds/types.generated.ts';
import { type NewCondition, setCondition } from '../machinery/conditions.ts';

/** Keeps the document until nobody uses the volume and, with reclaimPolicy Delete, until its data is gone. */
export const PROTECTION_FINALIZER = 'tepui.dev/volume-protection';

/** The agent of a volume as far as its data is concerned. `missing`: there is no such document. */
export type AgentReach = 'reachable' | 'unreachable' | 'gone' | 'missing';

export interface Observed {
  readonly volume: Volume;
  /** Names of tasks that are placed, have not ended, and name the volume. */
  readonly users: readonly string[];
  /** Undefined if no agent was chosen yet. */
  readonly agent: AgentReach | undefined;
}

export type Action =
  | { type: 'AddFinalizer' }
  | { type: 'RemoveFinalizer' }
  /** Guarded by the resourceVersion that was observed. */
  | { type: 'WriteStatus'; status: VolumeStatus }
  | { type: 'RecordEvent'; severity: 'Normal' | 'Warning'; reason: string; action: string; note: string };

/** Pure and total. `time` is now, as conditions write it. */
export function plan(observed: Observed, time: string): Action[] {
  const { metadata } = observed.volume;
  const isProtected = metadata.finalizers?.includes(PROTECTION_FINALIZER) ?? false;
  if (metadata.deletionTimestamp) return isProtected ? planDeletion(observed, time) : [];
  const actions: Action[] = isProtected ? [] : [{ type: 'AddFinalizer' }];
  return [...actions, ...writeStatus(observed, {}, readiness(observed), time)];
}

/** The document goes when nobody uses the volume; the data goes only with reclaimPolicy Delete, and only its agent removes it. */
function planDeletion(observed: Observed, time: string): Action[] {
  const { volume, users, agent } = observed;
  const { agentName, path, state } = volume.status ?? {};
  if (users.length > 0) {
    const message = `waits for ${users.slice(0, 5).join(', ')} to end`;
    return writeStatus(observed, {}, { status: 'False', reason: 'DeletionWaitsForTasks', message }, time);
  }
  if (agent === undefined) return [{ type: 'RemoveFinalizer' }];
  const place = `agent "${agentName}"${path ? `, ${path}` : ''}`;
  if ((volume.spec.reclaimPolicy ?? 'Retain') === 'Retain') {
    return [event('Normal', 'DataRetained', `the data stays on ${place}`), { type: 'RemoveFinalizer' }];
  }
  if (state === 'Deleted')
    return [event('Normal', 'DataDeleted', `the data on ${place} was deleted`), { type: 'RemoveFinalizer' }];
  if (agent === 'gone' || agent === 'missing') {
    const note = `the data could not be deleted: ${place}, is ${agent === 'gone' ? 'marked gone' : 'not known any more'}`;
    return [event('Warning', 'DataNotDeleted', note), { type: 'RemoveFinalizer' }];
  }
  const message = agent === 'unreachable' ? `waits for ${place}, which is out of reach` : `${place} removes the data`;
  const ready = { status: 'False' as const, reason: 'DeletingData', message };
  return writeStatus(observed, { state: 'Deleting' }, ready, time);
}

type Readiness = Pick<NewCondition, 'status' | 'reason' | 'message'>;

function readiness({ volume, agent }: Observed): Readiness {
  const { agentName, state, reason, message } = volume.status ?? {};
  switch (agent) {
    case undefined: {
      const known = volume.status?.conditions?.find(({ type }) => type === 'Ready');
      if (volume.spec.bindingMode !== 'Immediate') {
        return { status: 'False', reason: 'WaitForFirstTask', message: 'an agent is chosen with the first task' };
      }
      // The scheduler's words.
      if (known?.reason === 'Unschedulable') return { status: 'False', reason: known.reason, message: known.message };
      return { status: 'False', reason: 'AgentNotChosen', message: 'the scheduler has not chosen an agent yet' };
    }
    case 'gone':
      return {
        status: 'False',
        reason: 'AgentGone',
        message: `agent "${agentName}" is marked gone; its data is lost, not deleted`,
      };
    case 'missing':
      return { status: 'False', reason: 'AgentMissing', message: `agent "${agentName}" is not known any more` };
    case 'unreachable':
      return { status: 'False', reason: 'AgentUnreachable', message: `agent "${agentName}" is out of reach` };
    case 'reachable':
      if (state === 'Available') return { status: 'True', reason: 'Available', message: `on agent "${agentName}"` };
      return {
        status: 'False',
        reason: reason && reason !== 'Unschedulable' ? reason : 'DirectoryNotMade',
        message:
          message && reason !== 'Unschedulable' ? message : `agent "${agentName}" has not made the directory yet`,
      };
  }
}

function writeStatus(
  { volume, users, agent }: Observed,
  changes: Partial<VolumeStatus>,
  ready: Readiness,
  time: string,
): Action[] {
  const before = volume.status ?? {};
  const observedGeneration = volume.metadata.generation;
  let conditions: Condition[] = setCondition(before.conditions, { type: 'Ready', ...ready, observedGeneration }, time);
  if (agent !== undefined) {
    conditions = setCondition(conditions, { ...reachability(agent, before.agentName ?? ''), observedGeneration }, time);
  }
  const usedBy = [...users].sort().slice(0, 1024);
  const status: VolumeStatus = { ...before, state: before.state ?? 'Pending', ...changes, usedBy, conditions };
  if (observedGeneration !== undefined) status.observedGeneration = observedGeneration;
  if (usedBy.length === 0) delete status.usedBy;
  return isDeepStrictEqual(status, before) ? [] : [{ type: 'WriteStatus', status }];
}

function reachability(agent: AgentReach, agentName: string): NewCondition {
  const type = 'AgentReachable';
  switch (agent) {
    case 'reachable':
      return { type, status: 'True', reason: 'AgentReady', message: `agent "${agentName}" is in reach` };
    case 'unreachable':
      return { type, status: 'False', reason: 'AgentUnreachable', message: `agent "${agentName}" is out of reach` };
    case 'gone':
      return { type, status: 'False', reason: 'AgentGone', message: `agent "${agentName}" is marked gone` };
    case 'missing':
      return { type, status: 'Unknown', reason: 'AgentMissing', message: `there is no Agent "${agentName}"` };
  }
}

function event(severity: 'Normal' | 'Warning', reason: string, note: string): Action {
  return { type: 'RecordEvent', severity, reason, action: 'DeleteVolume', note };
}
