/** From a Task document to what the containerizer needs, in two halves: what is read before the launch is checkpointed, and what is made after. */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { parseBytes, parseBytesLimit, parseMilli, parseMilliLimit } from '../../../crds/quantity.ts';
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import type { ContainerResources, LaunchSpec } from '../../containerizers/containerizer.ts';
import { volumeNames } from '../node/volumes.ts';
import type { TaskContext } from './context.ts';
import { resolveEnvironment } from './env-sources.ts';
import { buildEnvironment } from './environment.ts';
import { resolveMounts } from './mounts.ts';
import { signalNumber } from './outcome.ts';
import type { TaskRecord } from './record.ts';
import { createSandbox, sandboxPath } from './sandbox.ts';
import { type ResolvedUser, resolveUser } from './user.ts';

const DEFAULT_CPUS = 0.1;
const DEFAULT_MEM_BYTES = 128 * 2 ** 20;
const DEFAULT_GRACE_SECONDS = 3;

/** What a launch needs from outside: read before anything is made, so that an API server that is away costs a retry and nothing else. */
export interface LaunchInputs {
  container: TaskContainer;
  user: ResolvedUser;
  resolvedEnvironment: Record<string, string>;
}

/** Rejects with UserUnknown or EnvironmentSourceMissing (the task fails), or with a client error (worth a retry). */
export async function readLaunchInputs(context: TaskContext, task: Task): Promise<LaunchInputs> {
  const container = task.spec.containers[0]!;
  const { switchUser, defaultUser } = context.policy();
  const userText = switchUser ? (container.user ?? task.spec.user ?? defaultUser) : String(userInfo().uid);
  const user = resolveUser(userText);
  return { container, user, resolvedEnvironment: await resolveEnvironment(context.client, task, container) };
}

/** The record that is checkpointed before the containerizer is called. Pure. */
export function intendedRecord(
  context: TaskContext,
  task: Task,
  container: TaskContainer,
  containerId: string,
): TaskRecord {
  const key = { namespace: task.metadata!.namespace!, task: task.metadata!.name!, containerId };
  const sandbox = sandboxPath(context.sandboxRoot, key);
  const { maxCompletionTimeSeconds, killPolicy } = task.spec;
  return {
    uid: task.metadata!.uid!,
    namespace: key.namespace,
    name: key.task,
    containerId,
    containerName: container.name,
    bootId: context.agent.bootId,
    phase: 'Intended',
    sandbox,
    volumes: volumeNames(task),
    killGraceSeconds: killPolicy?.gracePeriodSeconds ?? DEFAULT_GRACE_SECONDS,
    stopSignal: (container.stopSignal && signalNumber(container.stopSignal)) || 15,
    ...(maxCompletionTimeSeconds !== undefined && { maxCompletionTimeSeconds }),
    report: { state: 'Staging', source: 'Agent', containerId, sandboxPath: sandbox, history: [] },
  };
}

/** Makes the sandbox and the mounts' sources. Rejects with MountInvalid or a system error: the launch failed. */
export async function prepareLaunch(
  context: TaskContext,
  task: Task,
  record: TaskRecord,
  inputs: LaunchInputs,
): Promise<LaunchSpec> {
  const { container, user } = inputs;
  const { namespace, name, containerId } = record;
  const sandbox = await createSandbox(context.sandboxRoot, { namespace, task: name, containerId }, user);
  const mounts = await resolveMounts(task, container, {
    sandbox,
    owner: user,
    volumePath: (volume) => context.volumes.prepare(namespace, volume, user),
    allowedHostPaths: context.policy().allowedHostPaths,
  });
  const home = homeOf(user, sandbox);
  const { agent } = context;
  const env = buildEnvironment({
    task,
    container,
    agent,
    containerId,
    sandbox,
    user: { name: user.name, home },
    resolved: inputs.resolvedEnvironment,
  });
  return {
    containerId,
    task,
    container,
    sandbox,
    env,
    user: { ...user, home },
    mounts,
    resources: containerResources(container, context.policy().defaultPidsLimit),
  };
}

/** Requests default to 100m and 128Mi; a memory limit to the request; a cpu limit to none. Pure. */
export function containerResources(container: TaskContainer, defaultPids?: number): ContainerResources {
  const { requests, limits } = container.resources ?? {};
  const cpus = requests?.cpus === undefined ? DEFAULT_CPUS : parseMilli(requests.cpus) / 1000;
  const memBytes = requests?.mem === undefined ? DEFAULT_MEM_BYTES : parseBytes(requests.mem);
  const pids = container.pidsLimit ?? defaultPids;
  return {
    requests: { cpus, memBytes },
    limits: {
      ...(limits?.cpus !== undefined && { cpus: parseMilliLimit(limits.cpus) / 1000 }),
      memBytes: limits?.mem === undefined ? memBytes : parseBytesLimit(limits.mem),
    },
    ...(pids !== undefined && { pids }),
  };
}

/** The user's home if there is one: system users such as nobody have none, and their programs want a place that exists. */
function homeOf(user: ResolvedUser, sandbox: string): string {
  return user.home !== '/' && existsSync(user.home) ? user.home : sandbox;
}
