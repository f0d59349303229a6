/** From a LaunchSpec to a running command, or to nothing at all. */
import type { ContainerUserIds } from '../../../crds/types.generated.ts';
import type { ContainerSpec } from '../../isolators/isolator.ts';
import { type ResolvedIds, resolveUserNamespace } from '../../isolators/user-namespace.ts';
import { ContainerLaunchFailed } from '../container-launch-failed.ts';
import type { LaunchedContainer, LaunchSpec } from '../containerizer.ts';
import { newContainer } from './container.ts';
import type { NativeContext } from './context.ts';
import { removeContainer } from './destroy.ts';
import { ownResources } from './group.ts';
import { buildLaunchRequest, loadIsolators } from './launch-request.ts';
import { withOwnIds } from './with-own-ids.ts';

/**
 * Order matters: the launch record first, so that a crash at any later point leaves something to be found and cleaned up; then what isolators make
 * on the host; then the process. Rejects with ContainerLaunchFailed after having removed it all again.
 */
export async function launchContainer(
  context: NativeContext,
  launchSpec: LaunchSpec,
  signal?: AbortSignal,
): Promise<LaunchedContainer> {
  const { env, ...asked } = launchSpec;
  const { containerId } = asked;
  const { isolators, records, containers, cgroups, launcher, limitationWatch, bootId, delegate } = context;
  if (containers.has(containerId))
    throw new ContainerLaunchFailed(containerId, `container ${containerId} exists already`);
  const container = newContainer(containerId, asked);
  const attempt = async (spec: ContainerSpec) => {
    if (container.spec !== spec) records.rewriteLaunch({ bootId, spec, env });
    container.spec = spec;
    const limited = { ...spec, resources: ownResources(spec) };
    for (const isolator of isolators) isolator.prepare?.(limited);
    for (const isolator of isolators) await isolator.provision?.(spec, signal);
    await loadIsolators(isolators, spec);
    const request = buildLaunchRequest(spec, env, isolators, records.exitPath(containerId));
    return launcher.launch(delegate ? await delegate.adapt(request, spec) : request);
  };
  try {
    signal?.throwIfAborted();
    const { userNamespace: _, ...rest } = asked;
    const unavailable = delegate
      ? "this containerizer's containers have the user ids of the host"
      : context.features.userNamespaces;
    const ids = resolveUserNamespace(asked, unavailable);
    const spec = ids.userNamespace ? { ...rest, userNamespace: ids.userNamespace } : rest;
    container.spec = spec;
    records.writeLaunch({ bootId, spec, env });
    containers.set(containerId, container);
    const { result: started, obstacle } = await withOwnIds(context, spec, attempt, () => cleanUp(context, containerId));
    container.launched = {
      containerId,
      pid: started.pid,
      startTimeTicks: started.startTimeTicks,
      startedAt: new Date(),
      userNamespace: userIdsOf(ids, obstacle),
    };
    await delegate?.started(container.launched, container.termination.promise);
    signal?.throwIfAborted();
  } catch (cause) {
    await removeContainer(context, containerId).catch((err: unknown) => {
      context.logger.error({ err, containerID: containerId }, 'a failed launch could not be cleaned up');
    });
    const aborted = signal?.aborted === true;
    throw new ContainerLaunchFailed(containerId, aborted ? 'the launch was aborted' : messageOf(cause), {
      cause,
      aborted,
    });
  }
  if (!container.ended) limitationWatch.add(containerId);
  // It was started while its group was ended, and may have come too late for that.
  if (container.groupLost && !container.ended) cgroups.kill(containerId);
  return container.launched;
}

function userIdsOf(ids: ResolvedIds, later: string | undefined): ContainerUserIds {
  if (ids.userNamespace && later === undefined) return { mode: 'Private' };
  const message = later ?? (ids.userNamespace ? undefined : ids.obstacle);
  return { mode: 'Host', ...(message !== undefined && { message: message.slice(0, 1024) }) };
}

/** What the isolators made for an attempt. */
async function cleanUp({ isolators }: NativeContext, containerId: string): Promise<void> {
  for (const isolator of isolators.toReversed()) await isolator.cleanup?.(containerId);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
