/** From a LaunchSpec to a running command, or to nothing at all. */

import { ContainerLaunchFailed } from '../container-launch-failed.ts';
import type { LaunchedContainer, LaunchSpec } from '../containerizer.ts';
import { newContainer } from './container.ts';
import type { NativeContext } from './context.ts';
import { removeContainer } from './destroy.ts';
import { ownResources } from './group.ts';
import { buildLaunchRequest, loadIsolators } from './launch-request.ts';

/**
 * Order matters: the launch record first, so that a crash at any later point leaves something to be found and cleaned up; then what isolators make
 * on the host; then the process. Rejects with ContainerLaunchFailed after having removed it all again.
 */
export async function launchContainer(
  context: NativeContext,
  launchSpec: LaunchSpec,
  signal?: AbortSignal,
): Promise<LaunchedContainer> {
  const { env, ...spec } = launchSpec;
  const { containerId } = spec;
  const { isolators, records, containers, launcher, limitationWatch, bootId, delegate } = context;
  if (containers.has(containerId))
    throw new ContainerLaunchFailed(containerId, `container ${containerId} exists already`);
  const container = newContainer(containerId, spec);
  try {
    signal?.throwIfAborted();
    records.writeLaunch({ bootId, spec, env });
    containers.set(containerId, container);
    const limited = { ...spec, resources: ownResources(spec) };
    for (const isolator of isolators) isolator.prepare?.(limited);
    await loadIsolators(isolators, spec);
    const request = buildLaunchRequest(spec, env, isolators, records.exitPath(containerId));
    const started = await launcher.launch(delegate ? await delegate.adapt(request, spec) : request);
    container.launched = {
      containerId,
      pid: started.pid,
      startTimeTicks: started.startTimeTicks,
      startedAt: new Date(),
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
  return container.launched;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
