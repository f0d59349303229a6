/** A further command in a running container: the same namespaces, cgroups, limits, identity and filters. */
import { startExec } from '../../launcher/exec.ts';
import type { ExecLaunchRequest } from '../../launcher/operations.ts';
import type { ExecRequest, ExecSession } from '../containerizer.ts';
import type { NativeContext } from './context.ts';
import { loadIsolators, sessionOperations } from './launch-request.ts';

export async function execInContainer(context: NativeContext, request: ExecRequest): Promise<ExecSession> {
  const { containers, records, cgroups, isolators, launcher } = context;
  const container = containers.get(request.containerId);
  if (!container?.launched || !container.spec || container.ended) {
    throw new ContainerNotRunning(request.containerId);
  }
  const { pid, startTimeTicks } = container.launched;
  // Not CLONE_INTO_CGROUP: from inside the container's cgroup namespace the kernel lets nobody in from outside of it (nsdelegate).
  const { joinLater } = cgroups.placement(request.containerId);
  await loadIsolators(isolators, container.spec);
  const launch: ExecLaunchRequest = {
    containerId: request.containerId,
    pid,
    startTimeTicks,
    operations: [
      ...joinLater.map((path) => ({ op: 'joinCgroup' as const, path })),
      ...sessionOperations(container.spec, isolators),
    ],
    argv: request.argv,
    env: { ...records.readLaunch(request.containerId)?.env, ...(request.tty && { TERM: 'xterm' }), ...request.env },
    ...(request.tty && { tty: request.size ?? { columns: 80, rows: 24 } }),
  };
  return startExec(launcher.binary, launch, { stdin: request.stdin });
}

export class ContainerNotRunning extends Error {
  override name = 'ContainerNotRunning';

  constructor(containerId: string, options?: ErrorOptions) {
    super(`container ${containerId} is not running`, options);
  }
}
