/** Keeps tasks: those that hold resources of an agent, and those that wait for a place, grouped by what they ask for. */
import { isTerminal } from '../../crds/task-states.ts';
import type { Task } from '../../crds/types.generated.ts';
import { agentNamed, forgetUnusedAgent, markAgentImproved } from './agents.ts';
import { type BoundPort, type Cluster, type Demand, keyOf, type Shape, type TaskState } from './cluster.ts';
import { demandOf } from './demand.ts';
import { releasePort, takePort } from './ports.ts';
import { chargeRole } from './roles.ts';
import { forgetUnusedVolume, useVolumes, volumeNamed } from './volumes.ts';

/**
 * Takes over what a Task document says. A placement that this process made and the document does not show yet is kept: documents arrive
 * later than they are written. It ends with the document that shows it, with another task of that name, or by `unassumeTask`.
 */
export function upsertTask(cluster: Cluster, document: Task): void {
  const key = keyOf(document.metadata?.namespace, document.metadata?.name ?? '');
  const uid = document.metadata?.uid ?? '';
  let task = cluster.tasks.get(key);
  if (task && task.uid !== uid) {
    removeTask(cluster, key);
    task = undefined;
  }
  const binding = document.spec.binding;
  const ended = isTerminal(document.status?.state);
  if (task?.assumed && !binding && !ended) return;

  const generation = document.metadata?.generation ?? 0;
  const demand = task && generation !== 0 && task.generation === generation ? task.demand : demandOf(cluster, document);
  const agentName = ended ? undefined : binding?.agentName;
  const hostPorts = agentName === undefined ? [] : boundPorts(demand, binding?.hostPorts ?? []);
  if (
    task &&
    (task.demand.key !== demand.key || task.agentName !== agentName || !samePorts(task.hostPorts, hostPorts))
  ) {
    detach(cluster, task);
  } else if (task?.agentName !== undefined) {
    task.generation = generation;
    task.assumed = false;
    return;
  }
  const state: TaskState = task ?? newTask(document, key, uid, demand);
  state.generation = generation;
  state.demand = demand;
  state.assumed = false;
  cluster.tasks.set(key, state);
  if (agentName !== undefined) {
    hold(cluster, state, agentName, hostPorts);
  } else if (!binding && !ended && !document.metadata?.deletionTimestamp && document.spec.desiredState !== 'Killed') {
    state.reported ??= reportedMessage(document);
    wait(cluster, state);
  } else {
    detach(cluster, state);
  }
}

/** Forgets a task whose document is gone. */
export function removeTask(cluster: Cluster, key: string): void {
  const task = cluster.tasks.get(key);
  if (!task) return;
  detach(cluster, task);
  cluster.tasks.delete(key);
}

/** Counts a placement before any document shows it. */
export function assumeTask(
  cluster: Cluster,
  task: TaskState,
  agentName: string,
  hostPorts: readonly BoundPort[],
): void {
  detach(cluster, task);
  hold(cluster, task, agentName, hostPorts);
  task.assumed = true;
  task.unplacedSinceMs = undefined;
}

/** Takes a placement back that could not be written. The task waits again until its document says otherwise. */
export function unassumeTask(cluster: Cluster, key: string, uid: string): void {
  const task = cluster.tasks.get(key);
  if (!task?.assumed || task.uid !== uid) return;
  detach(cluster, task);
  task.assumed = false;
  wait(cluster, task);
}

function newTask(document: Task, key: string, uid: string, demand: Demand): TaskState {
  return {
    key,
    namespace: document.metadata?.namespace ?? '',
    name: document.metadata?.name ?? '',
    uid,
    generation: 0,
    demand,
    createdAtMs: Date.parse(document.metadata?.creationTimestamp ?? '') || 0,
    agentName: undefined,
    hostPorts: [],
    assumed: false,
    unplacedSinceMs: undefined,
    reported: undefined,
    reportedAtMs: Date.parse(document.status?.placement?.lastAttemptTime ?? '') || 0,
    reportedReasons: reasonNames(document.status?.placement?.reasons ?? []),
  };
}

/** The reasons of an explanation, in a form that is equal when they are. */
export function reasonNames(reasons: readonly { reason: string }[]): string {
  return reasons
    .map(({ reason }) => reason)
    .sort()
    .join();
}

/** What an earlier scheduler told, so that a restart does not tell it again. */
function reportedMessage(document: Task): string | undefined {
  const condition = document.status?.conditions?.find(({ type }) => type === 'Scheduled');
  return condition?.status === 'False' ? condition.message : undefined;
}

function hold(cluster: Cluster, task: TaskState, agentName: string, hostPorts: readonly BoundPort[]): void {
  task.agentName = agentName;
  task.hostPorts = hostPorts;
  const agent = agentNamed(cluster, agentName);
  for (const [number, amount] of task.demand.amounts) agent.used[number] = (agent.used[number] ?? 0) + amount;
  for (const { hostPort, protocol } of hostPorts) takePort(agent.ports, hostPort, protocol);
  const { frameworkKey } = task.demand;
  agent.perFramework.set(frameworkKey, (agent.perFramework.get(frameworkKey) ?? 0) + 1);
  agent.taskCount += 1;
  cluster.changes += 1;
  const tasks = cluster.frameworkTasks.get(frameworkKey) ?? new Set();
  cluster.frameworkTasks.set(frameworkKey, tasks.add(task));
  useVolumes(cluster, task, true);
  chargeRole(cluster, task.demand, 1);
  markConstrainedShapes(cluster, frameworkKey);
}

/** Gives back whatever the task holds, or ends its wait. */
function detach(cluster: Cluster, task: TaskState): void {
  if (task.agentName === undefined) {
    leaveShape(cluster, task);
    return;
  }
  const agent = agentNamed(cluster, task.agentName);
  for (const [number, amount] of task.demand.amounts) agent.used[number] = (agent.used[number] ?? 0) - amount;
  for (const { hostPort, protocol } of task.hostPorts) {
    releasePort(agent.ports, hostPort, protocol);
    agent.ports.cursor = hostPort + 1;
  }
  const { frameworkKey } = task.demand;
  const left = (agent.perFramework.get(frameworkKey) ?? 0) - 1;
  if (left > 0) agent.perFramework.set(frameworkKey, left);
  else agent.perFramework.delete(frameworkKey);
  agent.taskCount -= 1;
  const tasks = cluster.frameworkTasks.get(frameworkKey);
  tasks?.delete(task);
  if (tasks?.size === 0) cluster.frameworkTasks.delete(frameworkKey);
  task.agentName = undefined;
  task.hostPorts = [];
  useVolumes(cluster, task, false);
  chargeRole(cluster, task.demand, -1);
  markAgentImproved(cluster, agent);
  markConstrainedShapes(cluster, frameworkKey);
  forgetUnusedAgent(cluster, agent);
}

function wait(cluster: Cluster, task: TaskState): void {
  const shape = cluster.shapes.get(task.demand.key) ?? newShape(cluster, task.demand);
  task.demand = shape.demand;
  if (shape.waiting.has(task.key)) return;
  const last = shape.waiting.size > 0 ? shape.newestMs : 0;
  shape.sorted &&= task.createdAtMs >= last;
  shape.newestMs = Math.max(last, task.createdAtMs);
  shape.waiting.set(task.key, task);
  if (!shape.blocked) cluster.dirtyShapes.add(shape);
}

function newShape(cluster: Cluster, demand: Demand): Shape {
  const shape: Shape = {
    demand,
    waiting: new Map(),
    sorted: true,
    newestMs: 0,
    blocked: false,
    eligible: [],
    eligibleEpoch: -1,
    explanation: undefined,
    explainedAtMs: 0,
    explainedAtChange: -1,
  };
  cluster.shapes.set(demand.key, shape);
  for (const volumeKey of demand.volumeKeys) volumeNamed(cluster, volumeKey).shapes.add(demand.key);
  if (demand.constraints.length > 0) {
    const others = cluster.constrainedShapes.get(demand.frameworkKey);
    if (others) others.add(shape);
    else cluster.constrainedShapes.set(demand.frameworkKey, new Set([shape]));
  }
  return shape;
}

function leaveShape(cluster: Cluster, task: TaskState): void {
  const shape = cluster.shapes.get(task.demand.key);
  if (!shape?.waiting.delete(task.key) || shape.waiting.size > 0) return;
  const { demand } = shape;
  cluster.shapes.delete(demand.key);
  cluster.dirtyShapes.delete(shape);
  for (const key of demand.volumeKeys) {
    const volume = volumeNamed(cluster, key);
    volume.shapes.delete(demand.key);
    forgetUnusedVolume(cluster, volume);
  }
  const others = cluster.constrainedShapes.get(demand.frameworkKey);
  others?.delete(shape);
  if (others?.size === 0) cluster.constrainedShapes.delete(demand.frameworkKey);
}

/** Where its own tasks are decides what the constraints of a framework allow, on any agent. */
function markConstrainedShapes(cluster: Cluster, frameworkKey: string): void {
  for (const shape of cluster.constrainedShapes.get(frameworkKey) ?? [])
    if (shape.blocked) cluster.dirtyShapes.add(shape);
}

/** The ports of the binding, and those the document names itself should the binding not list them. */
function boundPorts(
  demand: Demand,
  hostPorts: readonly { container: string; name: string; hostPort: number }[],
): BoundPort[] {
  const bound = hostPorts.map(({ container, name, hostPort }) => {
    const asked = demand.ports.find((port) => port.container === container && port.name === name);
    return { container, name, hostPort, protocol: asked?.protocol ?? ('TCP' as const) };
  });
  const missing = demand.ports.filter(
    (port) =>
      port.hostPort !== 0 && !bound.some(({ container, name }) => container === port.container && name === port.name),
  );
  return [...bound, ...missing];
}

function samePorts(left: readonly BoundPort[], right: readonly BoundPort[]): boolean {
  return left.length === right.length && left.every((port, index) => port.hostPort === right[index]!.hostPort);
}
