/** From a Task document to what the containerizer needs, in two halves: what is read before the launch is checkpointed, and what is made after. */
import { existsSync } from 'node:fs';
import { parseBytes, parseBytesLimit, parseMilli, parseMilliLimit } from '../../../crds/quantity.ts';
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import type { ContainerResources, ImageRoot, LaunchSpec } from '../../containerizers/containerizer.ts';
import {
  defaultPullPolicy,
  imageCommand,
  type ProvisionedImage,
  type PullPolicy,
  parseReference,
  type RegistryCredentials,
} from '../../images/index.ts';
import { sandboxInContainer, sandboxInImage } from '../../isolators/filesystem/sandbox.ts';
import { hostNetworkInfos } from '../../network/index.ts';
import { volumeNames } from '../volumes/users.ts';
import type { TaskContext } from './context.ts';
import { resolveEnvironment } from './env-sources.ts';
import { buildEnvironment } from './environment.ts';
import { containerUser, imageEnvironment, readPullCredentials, userOfOwnStore } from './image.ts';
import { signalNumber } from './outcome.ts';
import { type ContainerRecord, containerIdOf, type TaskRecord } from './record.ts';
import { createMemberSandbox, createSandbox, sandboxPath } from './sandbox.ts';
import type { SharedParts } from './shared.ts';
import { documentContainer, waitsFor } from './start-order.ts';
import type { HistoryEntry } from './status.ts';
import { intend, step } from './steps.ts';
import { type ProjectedObjects, readProjectedObjects, resolveTaskMounts } from './task-mounts.ts';
import type { ResolvedUser } from './user.ts';

const DEFAULT_CPUS = 0.1;
const DEFAULT_MEM_BYTES = 128 * 2 ** 20;
const DEFAULT_GRACE_SECONDS = 3;
const SIGTERM = 15;

/** What a launch needs from outside: read before anything is made, so that an API server that is away costs a retry and nothing else. */
export interface LaunchInputs {
  /** Of registries; only read for a container with an image. */
  credentials: RegistryCredentials[];
  resolvedEnvironment: Record<string, string>;
  objects: ProjectedObjects;
}

/**
 * Rejects with EnvironmentSourceMissing, VolumeSourceMissing or PullSecretInvalid (the container failed), or with a client error (worth a retry).
 */
export async function readLaunchInputs(
  context: TaskContext,
  task: Task,
  container: TaskContainer,
): Promise<LaunchInputs> {
  const [credentials, resolvedEnvironment, objects] = await Promise.all([
    container.image === undefined ? [] : readPullCredentials(context, task),
    resolveEnvironment(context.client, task, container),
    readProjectedObjects(context.client, task, container),
  ]);
  return { credentials, resolvedEnvironment, objects };
}

/**
 * The record of a task that is about to be started. Containers whose turn it is are Intended in it right away, so that the usual launch costs
 * one durable write. Pure.
 */
export function taskRecord(
  context: Pick<TaskContext, 'sandboxRoot' | 'agent' | 'now'>,
  task: Task,
  groupId: string,
): TaskRecord {
  const { namespace, name, uid, labels, annotations, generation } = task.metadata;
  const key = { namespace: namespace!, task: name!, groupId };
  const sandbox = sandboxPath(context.sandboxRoot, key);
  const { maxCompletionTimeSeconds, initContainers = [], containers } = task.spec;
  const record: TaskRecord = {
    ...unstartedRecord(task, context.agent.bootId),
    groupId,
    isGroup: initContainers.length + containers.length > 1,
    // Those of the task's own network come with it.
    ...((task.spec.network?.mode ?? 'Host') === 'Host' && { networkInfos: hostNetworkInfos() }),
    phase: 'Live',
    sandbox,
    volumes: volumeNames(task),
    killGraceSeconds: killGraceSeconds(task),
    ...(maxCompletionTimeSeconds !== undefined && { maxCompletionTimeSeconds }),
    containers: [
      ...initContainers.map((container) => containerRecord(container, true)),
      ...containers.map((container) => containerRecord(container, false)),
    ],
    task: {
      metadata: {
        namespace,
        name,
        uid,
        ...(labels && { labels }),
        ...(annotations && { annotations }),
        ...(generation !== undefined && { generation }),
      },
      spec: task.spec,
    },
    report: {
      state: 'Staging',
      source: 'Agent',
      containerId: groupId,
      sandboxPath: sandbox,
      history: (task.status?.history ?? []) as HistoryEntry[],
    },
  };
  const first = record.containers.filter((container) => waitsFor(record, container) === undefined);
  const isQuick = first.every((container) => !needsTransfer(documentContainer(task, container)));
  const begun = first.reduce((current, { name: first }) => intend(current, first), record);
  return isQuick ? step(begun, { state: 'Starting' }, context.now()) : begun;
}

/** What the document's kill policy is now. Pure. */
export function killGraceSeconds({ spec }: Task): number {
  return spec.killPolicy?.gracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
}

/** The record of a task that is never started: what keeps it from being launched later. Pure. */
export function unstartedRecord({ metadata, spec, status }: Task, bootId: string): TaskRecord {
  return {
    uid: metadata.uid!,
    namespace: metadata.namespace!,
    name: metadata.name!,
    groupId: status?.containerId ?? '',
    isGroup: false,
    bootId,
    phase: 'Cleaned',
    sandbox: '',
    volumes: [],
    killGraceSeconds: 0,
    containers: spec.containers?.[0] ? [containerRecord(spec.containers[0], false)] : [],
    report: { state: 'Staging', source: 'Agent', history: (status?.history ?? []) as HistoryEntry[] },
  };
}

function containerRecord({ name, stopSignal }: TaskContainer, init: boolean): ContainerRecord {
  return {
    name,
    init,
    phase: 'Waiting',
    run: 0,
    stopSignal: (stopSignal && signalNumber(stopSignal)) || SIGTERM,
    failures: 0,
  };
}

/** Whether something is transferred before the container can start, which takes its time. */
function needsTransfer(container: TaskContainer | undefined): boolean {
  return container?.image !== undefined || (container?.uris?.length ?? 0) > 0;
}

export interface LaunchParts {
  inputs: LaunchInputs;
  /** Of the container's root; pulled and pinned. */
  image?: ProvisionedImage;
  /** The containerizer pulls the image itself, and follows its configuration. */
  ownStore?: boolean;
  /** Pulls an image that is mounted as a volume. */
  volumeImage(source: { reference: string; pullPolicy?: PullPolicy }): Promise<string[]>;
  shared: SharedParts;
}

/** Makes the sandbox and the mounts' sources. Rejects with MountInvalid, UserUnknown or a system error: the launch failed. */
export async function prepareLaunch(
  context: TaskContext,
  record: TaskRecord,
  container: ContainerRecord,
  { inputs, image, ownStore = false, volumeImage, shared }: LaunchParts,
): Promise<LaunchSpec> {
  const { namespace, name, groupId, isGroup } = record;
  const task = record.task!;
  const declared = documentContainer(task, container)!;
  const user = await (ownStore ? userOfOwnStore(task, declared) : containerUser(context, task, declared, image));
  const containerId = containerIdOf(record, container);
  const key = { namespace, task: name, groupId };
  const sandbox = isGroup
    ? await createMemberSandbox(context.sandboxRoot, key, container.name, user)
    : await createSandbox(context.sandboxRoot, key, user);
  await context.diskLimits.prepare({
    containerId,
    sandbox,
    owner: user,
    limitBytes: diskLimitBytes(declared),
    enforcement: declared.resources?.diskEnforcement ?? 'Auto',
  });
  const mounts = await resolveTaskMounts(context, task, declared, {
    groupId,
    sandbox,
    taskSandbox: record.sandbox,
    user,
    objects: inputs.objects,
    image: volumeImage,
  });
  const written = mounts.filter(({ readOnly }) => !readOnly).map(({ source }) => source);
  const onProjectQuota = await context.diskLimits.onProjectQuota(written);
  const root: ImageRoot | undefined = image && {
    reference: image.reference,
    digest: image.digest,
    layers: image.layers,
  };
  const sandboxInside = ownStore ? sandboxInImage : sandboxInContainer({ sandbox, ...(root && { image: root }) });
  const home = homeOf(user, sandboxInside, image !== undefined);
  const edits = context.devices.resolve(declared, record.gpus?.[container.name]);
  const { agent } = context;
  const env = buildEnvironment({
    task,
    container: declared,
    agent,
    containerId,
    sandbox: sandboxInside,
    user: { name: user.name, home },
    image: imageEnvironment(image),
    resolved: inputs.resolvedEnvironment,
  });
  const workingDirectory = declared.workingDir ?? image?.config.workingDir;
  return {
    containerId,
    ...(isGroup && { groupId }),
    task,
    container: declared,
    ...(image && { image: root, argv: imageCommand(declared, image.config) }),
    ...(image && workingDirectory && { workingDirectory }),
    sandbox,
    env: { ...(ownStore ? withoutDefaults(env, inputs.resolvedEnvironment) : env), ...edits.env },
    ...(ownStore && { pull: pullOf(declared, inputs.credentials) }),
    user: { ...user, home, supplementalGids: [...user.supplementalGids, ...edits.supplementalGids] },
    mounts: [...mounts, ...edits.mounts],
    ...(onProjectQuota && { onProjectQuota }),
    ...(edits.devices.length > 0 && { devices: edits.devices }),
    resources: containerResources(declared, context.policy().defaultPidsLimit),
    ...(shared.network && { network: shared.network }),
    ...(record.userNamespace && { userNamespace: record.userNamespace }),
  };
}

/** Variables that the image, or the engine, sets better. */
const imageVariables = ['PATH', 'HOME', 'USER', 'LOGNAME'];

function withoutDefaults(env: Record<string, string>, declared: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name in declared || !imageVariables.includes(name)));
}

function pullOf({ image, imagePullPolicy }: TaskContainer, credentials: RegistryCredentials[]) {
  return { policy: imagePullPolicy ?? defaultPullPolicy(parseReference(image ?? '')), credentials };
}

/**
 * What the containers of a group may use together (`shareCgroups`): the sum of those that run beside each other, or the largest init container
 * where that is more. One without a limit leaves the group without it. Pure.
 */
export function groupResources(task: Task, defaultPids?: number): ContainerResources {
  const all = (task.spec.containers ?? []).map((container) => containerResources(container, defaultPids));
  const init = (task.spec.initContainers ?? []).map((container) => containerResources(container, defaultPids));
  const most = (of: (resources: ContainerResources) => number): number =>
    Math.max(
      all.map(of).reduce((sum, amount) => sum + amount, 0),
      ...init.map(of),
    );
  const swaps = [...all, ...init].some(({ limits }) => limits.swapBytes !== undefined);
  return {
    requests: { cpus: most(({ requests }) => requests.cpus), memBytes: most(({ requests }) => requests.memBytes) },
    limits: {
      cpus: most(({ limits }) => limits.cpus ?? Number.POSITIVE_INFINITY),
      memBytes: most(({ requests, limits }) => limits.memBytes ?? requests.memBytes),
      ...(swaps && { swapBytes: most(({ limits }) => limits.swapBytes ?? 0) }),
    },
    pids: most(({ pids }) => pids ?? Number.POSITIVE_INFINITY),
  };
}

/** Bytes of the sandbox: the limit, else the request; undefined without either and with "Infinity". Pure. */
export function diskLimitBytes({ resources }: TaskContainer): number | undefined {
  const { requests, limits } = resources ?? {};
  const limit = limits?.disk ?? requests?.disk;
  const bytes = limit === undefined ? undefined : parseBytesLimit(limit);
  return bytes !== undefined && Number.isFinite(bytes) && bytes > 0 ? bytes : undefined;
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
      ...(limits?.swap !== undefined && { swapBytes: parseBytesLimit(limits.swap) }),
    },
    ...(pids !== undefined && { pids }),
  };
}

/** The user's home if there is one: system users such as nobody have none, and their programs want a place that exists. What an image has is its own affair. */
function homeOf(user: ResolvedUser, sandbox: string, hasImage: boolean): string {
  if (hasImage) return user.home;
  return user.home !== '/' && existsSync(user.home) ? user.home : sandbox;
}
