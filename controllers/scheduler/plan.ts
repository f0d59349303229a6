/**
 * Decides where waiting tasks go. Works on the cluster's state, which counts each placement at once (it is an assumption until the document
 * shows it), so that one plan never gives the same room twice, nor do two plans after each other.
 */

import { chooseAgent } from './choose.ts';
import type { AgentState, BoundPort, Cluster, Explanation, Shape, TaskState } from './cluster.ts';
import { eligibleAgents, hasRoom, type Search, startSearch } from './fit.ts';
import { allocatedPortsOn } from './networks.ts';
import { planVolumes } from './plan-volumes.ts';
import { findFreePorts } from './ports.ts';
import { planReports } from './report.ts';
import { quotaProblem } from './roles.ts';
import { assumeTask } from './tasks.ts';
import { createTurns } from './turns.ts';
import { assumeVolume, disksForUnbound, unwrittenVolumes, volumeProblemEverywhere } from './volumes.ts';

export interface VolumeBinding {
  key: string;
  uid: string;
  /** Of the agent's disks; absent for the root disk. */
  diskName?: string;
}

export type Action =
  /** Bind the volumes, then the task. */
  | {
      type: 'BindTask';
      key: string;
      uid: string;
      agentName: string;
      agentUid: string;
      hostPorts: readonly BoundPort[];
      volumes: VolumeBinding[];
      /** Whether its status says that it could not be placed. */
      wasReported: boolean;
    }
  /** `isNews`: the reasons are others than those told before, not only counts and amounts. */
  | { type: 'ReportUnplaced'; key: string; uid: string; explanation: Explanation; isNews: boolean }
  /** Bind a volume that does not wait for a task. */
  | { type: 'BindVolume'; key: string; uid: string; agentName: string; agentUid: string; diskName?: string }
  | { type: 'ReportVolumeUnplaced'; key: string; uid: string; explanation: Explanation }
  /** Plan again after this time, or earlier if anything changes. */
  | { type: 'PlanAgain'; afterMs: number };

export interface PlanOptions {
  /** The plan stops after this many placements, to let other work of the process have its turn. Default 200. */
  maxPlacements?: number;
}

/**
 * Places what can be placed, by priority and then age, and says why the rest waits. No I/O; the clock is data; the only effect is that the
 * cluster's state counts the placements. Repeated with nothing changed it returns no placement.
 */
export function plan(cluster: Cluster, nowMs: number, { maxPlacements = 200 }: PlanOptions = {}): Action[] {
  const actions = planVolumes(cluster);
  const turns = createTurns(shapesToTry(cluster));
  for (let shape = turns.next(); shape !== undefined; shape = turns.next()) {
    if (actions.length >= maxPlacements) {
      cluster.dirtyShapes.add(shape);
      continue;
    }
    const task = shape.waiting.values().next().value;
    if (task === undefined) continue;
    const action = place(cluster, shape, task);
    if (action) {
      actions.push(action);
      if (shape.waiting.size > 0) turns.again(shape);
    } else {
      shape.blocked = true;
    }
  }
  const stopped = actions.length >= maxPlacements;
  const { reports, againAfterMs } = planReports(cluster, nowMs);
  actions.push(...reports);
  if (stopped || cluster.dirtyShapes.size > 0) actions.push({ type: 'PlanAgain', afterMs: 0 });
  else if (againAfterMs !== undefined) actions.push({ type: 'PlanAgain', afterMs: againAfterMs });
  return actions;
}

/** Shapes that are new or that a change gave another chance. Afterwards the marks of what changed are cleared. */
function shapesToTry(cluster: Cluster): Set<Shape> {
  const shapes = new Set(cluster.dirtyShapes);
  cluster.dirtyShapes.clear();
  if (cluster.improvedAgents.size > 0) {
    for (const shape of cluster.shapes.values()) {
      if (shape.blocked && !shapes.has(shape) && hasRoomOnImproved(cluster, shape)) shapes.add(shape);
    }
    cluster.improvedAgents.clear();
  }
  for (const shape of shapes) shape.blocked = false;
  return shapes;
}

function hasRoomOnImproved(cluster: Cluster, shape: Shape): boolean {
  if (isRefusedEverywhere(cluster, shape)) return false;
  let search: Search | undefined;
  const eligible = eligibleAgents(cluster, shape);
  const restricted =
    shape.demand.agentName !== undefined || shape.demand.selector || shape.demand.constraints.length > 0;
  for (const agent of cluster.improvedAgents) {
    if (!agent.known || (restricted && !eligible.includes(agent))) continue;
    search ??= startSearch(cluster, shape.demand);
    if (hasRoom(cluster, search, agent)) return true;
  }
  return false;
}

function place(cluster: Cluster, shape: Shape, task: TaskState): Action | undefined {
  if (isRefusedEverywhere(cluster, shape)) return undefined;
  const search = startSearch(cluster, shape.demand);
  const agent = chooseAgent(cluster, search, eligibleAgents(cluster, shape));
  if (!agent) return undefined;
  // Those that an earlier placement bound are in the list until a document shows it: their write may yet fail.
  const volumes = unwrittenVolumes(cluster, shape.demand);
  const disks = disksForUnbound(cluster, shape.demand, agent);
  for (const volume of volumes) {
    if (volume.agentName === undefined) assumeVolume(cluster, volume, agent.name, disks.get(volume.key));
  }
  const hostPorts = choosePorts(search, agent);
  const wasReported = task.reported !== undefined;
  assumeTask(cluster, task, agent.name, hostPorts);
  return {
    type: 'BindTask',
    key: task.key,
    uid: task.uid,
    agentName: agent.name,
    agentUid: agent.uid,
    hostPorts,
    volumes: volumes.map(({ key, uid, diskName }) => ({ key, uid, ...(diskName !== undefined && { diskName }) })),
    wasReported,
  };
}

function isRefusedEverywhere(cluster: Cluster, { demand }: Shape): boolean {
  return (
    demand.unsupported !== undefined ||
    quotaProblem(cluster, demand) !== undefined ||
    volumeProblemEverywhere(cluster, demand) !== undefined
  );
}

/** `hasRoom` made sure that there are enough. */
function choosePorts({ demand, fixedPorts }: Search, agent: AgentState): BoundPort[] {
  const free = findFreePorts(agent.ports, allocatedPortsOn(demand, agent), fixedPorts) ?? [];
  let next = 0;
  return demand.ports.flatMap(({ container, name, protocol, hostPort }): BoundPort[] => {
    if (hostPort !== 0) return [{ container, name, protocol, hostPort }];
    const allocated = free[next];
    next += 1;
    return allocated === undefined ? [] : [{ container, name, protocol, hostPort: allocated }];
  });
}
