/** From a LaunchSpec to a running container of the engine, or to nothing at all. */
import { constants } from 'node:fs';
import { chmod, type FileHandle, open, readlink, stat } from 'node:fs/promises';
import { release } from 'node:os';
import { defaultPullPolicy, parseReference } from '../../images/index.ts';
import { effectiveNamesOfRoot } from '../../isolators/capabilities.ts';
import { seccompProfileOf } from '../../isolators/seccomp.ts';
import { toOciSeccomp } from '../../seccomp/oci.ts';
import { nativeArch } from '../../seccomp/syscalls.ts';
import { ContainerLaunchFailed } from '../container-launch-failed.ts';
import type { ContainerMount, LaunchedContainer, LaunchSpec } from '../containerizer.ts';
import { exactNumber } from '../exact-number.ts';
import { startTimeOf } from '../native/start-time.ts';
import { createBody } from './container-config.ts';
import { containerLabel, type DockerContainer, type DockerContext, engineName, instanceLabel } from './context.ts';
import { destroyContainer } from './destroy.ts';
import type { ContainerInspect } from './engine-types.ts';
import { followContainer } from './follow.ts';
import { networkInfosOf } from './networks.ts';
import { ensureImage } from './pull.ts';

/** The record first, so that a crash at any later point leaves something to be found. Rejects with ContainerLaunchFailed after having removed it all. */
export async function launchContainer(
  context: DockerContext,
  launchSpec: LaunchSpec,
  signal?: AbortSignal,
): Promise<LaunchedContainer> {
  const { env: _env, pull: _pull, ...spec } = launchSpec;
  const { containerId } = spec;
  if (context.containers.has(containerId))
    throw new ContainerLaunchFailed(containerId, `container ${containerId} exists already`);
  const container: DockerContainer = { spec, termination: Promise.withResolvers(), ended: false };
  try {
    signal?.throwIfAborted();
    context.records.write({ bootId: context.bootId, spec });
    context.containers.set(containerId, container);
    container.launched = await start(context, launchSpec, signal);
    followContainer(context, container);
    signal?.throwIfAborted();
    return container.launched;
  } catch (cause) {
    await destroyContainer(context, containerId).catch((err: unknown) => {
      context.logger.error({ err, containerID: containerId }, 'a failed launch could not be cleaned up');
    });
    const aborted = signal?.aborted === true;
    const message = aborted ? 'the launch was aborted' : (cause as Error).message;
    throw new ContainerLaunchFailed(containerId, message, { cause, aborted });
  }
}

async function start(context: DockerContext, spec: LaunchSpec, signal?: AbortSignal): Promise<LaunchedContainer> {
  const { engine } = context;
  const { containerId, container } = spec;
  const reference = container.image!;
  await ensureImage(engine, {
    reference,
    policy: spec.pull?.policy ?? container.imagePullPolicy ?? defaultPullPolicy(parseReference(reference)),
    credentials: spec.pull?.credentials ?? [],
    signal,
  });
  signal?.throwIfAborted();
  const user = container.user ?? spec.task.spec.user;
  // A user that only the image knows must be able to write here; nobody else of the host gets as far as this directory.
  if (user === undefined || !/^\d/.test(user)) await chmod(spec.sandbox, 0o777);
  const sources = await openSources(spec.mounts);
  try {
    const effective = effectiveNamesOfRoot(spec, context.policy());
    const body = createBody(spec, {
      labels: { [instanceLabel]: context.instance, [containerLabel]: containerId },
      cgroupParent: context.cgroupParent ?? '',
      sources: sources.paths,
      capabilities: { effective },
      seccomp: await seccompText(context, spec, effective),
      user,
    });
    await engine.call('POST', `/containers/create?name=${engineName(containerId)}`, { body });
    signal?.throwIfAborted();
    await engine.call('POST', `/containers/${engineName(containerId)}/start`);
  } finally {
    await sources.close();
  }
  const found = await engine.call<ContainerInspect>('GET', `/containers/${engineName(containerId)}/json`);
  const networkInfos = networkInfosOf(found);
  return { ...launchedOf(containerId, found.State), ...(networkInfos.length > 0 && { networkInfos }) };
}

/** One that has ended already has no pid. */
export function launchedOf(containerId: string, { Pid, StartedAt }: ContainerInspect['State']): LaunchedContainer {
  return { containerId, pid: Pid, startTimeTicks: startTimeOf(Pid) ?? 0, startedAt: new Date(StartedAt) };
}

/**
 * The engine looks sources up by path, as root: what a task may have put in the way must not lead it elsewhere. So each source is opened here, without
 * following a link in its last part and below its root, and named by our descriptor, which leads to that very file or directory.
 */
async function openSources(mounts: ContainerMount[]): Promise<{ paths: string[]; close(): Promise<void> }> {
  const handles: FileHandle[] = [];
  const paths: string[] = [];
  for (const { source, root } of mounts) {
    if (root === undefined) {
      await stat(source);
      paths.push(source);
      continue;
    }
    const handle = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    handles.push(handle);
    const found = await readlink(`/proc/self/fd/${handle.fd}`);
    if (found !== root && !found.startsWith(`${root}/`))
      throw new Error(`volumeMounts: ${source} leads out of ${root}`);
    paths.push(`/proc/${process.pid}/fd/${handle.fd}`);
  }
  return {
    paths,
    async close() {
      for (const handle of handles) await handle.close();
    },
  };
}

/** The profile in Docker's format, which has that of OCI runtimes in it. The engine's containers have the user ids of the host. */
async function seccompText(
  { seccompDirectory }: DockerContext,
  { userNamespace: _, ...spec }: LaunchSpec,
  capabilities: string[],
): Promise<string | undefined> {
  const profile = await seccompProfileOf(spec, seccompDirectory);
  if (profile === undefined) return undefined;
  const context = { arch: nativeArch(), kernel: release(), capabilities };
  return JSON.stringify(toOciSeccomp(profile, context, exactNumber));
}
