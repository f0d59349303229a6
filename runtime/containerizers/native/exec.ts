/** A further command in a running container: the same namespaces, cgroups, limits, identity and filters. */
import { startExec } from '../../launcher/exec.ts';
import type { ExecLaunchRequest } from '../../launcher/operations.ts';
import type { CopyRequest, ExecRequest, ExecSession, LaunchedContainer } from '../containerizer.ts';
import { Unsupported } from '../unsupported.ts';
import type { NativeContext } from './context.ts';
import type { Delegate } from './delegate.ts';
import { loadIsolators, sessionJoins, sessionOperations } from './launch-request.ts';

export function execInContainer(context: NativeContext, request: ExecRequest): Promise<ExecSession> {
  return enterContainer(context, request);
}

/** Does what an exec'd command could do, and follows no link out of the container, because it is in it. */
export async function copyWithContainer(
  context: NativeContext,
  { containerId, direction, path, name }: CopyRequest,
): Promise<ExecSession> {
  if (context.delegate)
    throw new Unsupported('only the native containerizer copies files; run a tar of the container with exec');
  const request = { containerId, argv: [direction, path, name], stdin: direction === 'receive', tty: false };
  return enterContainer(context, request, { files: true });
}

async function enterContainer(
  context: NativeContext,
  request: ExecRequest,
  extra: Pick<ExecLaunchRequest, 'files'> = {},
): Promise<ExecSession> {
  const { containers, cgroups, isolators, launcher } = context;
  const container = containers.get(request.containerId);
  if (!container?.launched || !container.spec || container.ended) {
    throw new ContainerNotRunning(request.containerId);
  }
  if (context.delegate) return execThroughDelegate(context, context.delegate, container.launched, request);
  const { pid, startTimeTicks } = container.launched;
  // Not CLONE_INTO_CGROUP: from inside the container's cgroup namespace the kernel lets nobody in from outside of it (nsdelegate).
  const { join, joinLater } = cgroups.placement(request.containerId);
  await loadIsolators(isolators, container.spec);
  const launch: ExecLaunchRequest = {
    containerId: request.containerId,
    pid,
    startTimeTicks,
    userNamespace: container.spec.userNamespace !== undefined,
    operations: [
      ...joinLater.filter((path) => !join.includes(path)).map((path) => ({ op: 'joinCgroup' as const, path })),
      ...sessionJoins(container.spec, isolators),
      ...sessionOperations(container.spec, isolators),
    ],
    argv: request.argv,
    env: sessionEnvironment(context, request),
    ...extra,
    ...(request.tty && { tty: request.size ?? { columns: 80, rows: 24 } }),
  };
  return startExec(launcher.binary, launch, { stdin: request.stdin });
}

function sessionEnvironment(
  { records }: NativeContext,
  { containerId, tty, env }: ExecRequest,
): Record<string, string> {
  return { ...records.readLaunch(containerId)?.env, ...(tty && { TERM: 'xterm' }), ...env };
}

async function execThroughDelegate(
  context: NativeContext,
  delegate: Delegate,
  supervised: LaunchedContainer,
  request: ExecRequest,
): Promise<ExecSession> {
  const delegated = await delegate.exec(request, supervised, sessionEnvironment(context, request));
  try {
    const session = await startExec(context.launcher.binary, delegated.launch, { stdin: request.stdin });
    void session.exit.then(delegated.done);
    return { ...session, signal: delegated.signal };
  } catch (error) {
    delegated.done();
    throw error;
  }
}

export class ContainerNotRunning extends Error {
  override name = 'ContainerNotRunning';

  constructor(containerId: string, options?: ErrorOptions) {
    super(`container ${containerId} is not running`, options);
  }
}
