/** From what the isolators contribute to what the launcher carries out. */
import type { TaskContainer } from '../../../crds/types.generated.ts';
import type { ContainerSpec, Isolator, LaunchContribution } from '../../isolators/isolator.ts';
import type { LaunchRequest, LogSink, Operation } from '../../launcher/operations.ts';
import { parseWhole } from '../../resources/quantity.ts';

/** The CRD's defaults, for documents that did not come through the API server. */
const defaultLogBytes = 10 * 2 ** 20;
const defaultLogFiles = 2;

/** Before either of the functions below. Waits only for isolators that have something to read. */
export async function loadIsolators(isolators: Isolator[], spec: ContainerSpec): Promise<void> {
  for (const isolator of isolators) {
    const loading = isolator.load?.(spec);
    if (loading) await loading;
  }
}

/** One ordered list out of all stages of all isolators. */
export function buildLaunchRequest(
  spec: ContainerSpec,
  env: Record<string, string>,
  isolators: Isolator[],
  exitRecord: string,
): LaunchRequest {
  const contributions = isolators.map((isolator) => isolator.contribute?.(spec) ?? {});
  const namespaces = { mount: false, pid: false, ipc: false, uts: false, cgroup: false, network: false };
  for (const contribution of contributions) Object.assign(namespaces, contribution.namespaces);
  const cloneIntoCgroup = contributions.find((contribution) => contribution.cloneIntoCgroup)?.cloneIntoCgroup;
  const share = contributions.find((contribution) => contribution.share)?.share;
  return {
    containerId: spec.containerId,
    namespaces,
    // A command at pid 1 would ignore SIGTERM unless it has a handler, and would have to reap orphans: few programs do.
    init: namespaces.pid,
    tty: spec.container.tty ?? false,
    stdin: spec.container.stdin ?? false,
    ...(cloneIntoCgroup !== undefined && { cloneIntoCgroup }),
    operations: [
      ...cgroupsFirst(stages(contributions, ['join'])),
      ...stages(contributions, ['setup', 'privileges', 'lockdown']),
    ],
    argv: spec.argv ?? commandOf(spec.container),
    ...(spec.userNamespace && { userNamespace: spec.userNamespace }),
    ...(share && { share: { pid: share.pid, startTimeTicks: share.startTimeTicks } }),
    env: spec.container.tty ? { TERM: 'xterm', ...env } : env,
    stdout: logSink(spec, 'stdout'),
    stderr: logSink(spec, 'stderr'),
    exitRecord,
  };
}

/** What a further process of the same container goes through: the same limits, identity and filters, in the mounts that are there already. */
export function sessionOperations(spec: ContainerSpec, isolators: Isolator[]): Operation[] {
  return stages(
    isolators.map((isolator) => isolator.contribute?.(spec) ?? {}),
    ['privileges', 'lockdown'],
  );
}

/** The cgroups of a further process, beside the v2 group; it gets into the namespaces with the container's own. */
export function sessionJoins(spec: ContainerSpec, isolators: Isolator[]): Operation[] {
  const joins = stages(
    isolators.map((isolator) => isolator.contribute?.(spec) ?? {}),
    ['join'],
  );
  return joins.filter(isCgroup);
}

/** `shell` runs as `/bin/sh -c`; otherwise `command` and `args` as they are. */
export function commandOf({ command, args, shell }: TaskContainer): string[] {
  if (shell !== undefined) return ['/bin/sh', '-c', shell, ...(args?.length ? ['sh', ...args] : [])];
  return [...(command ?? []), ...(args ?? [])];
}

/** They are the host's: after them, nothing is. */
function cgroupsFirst(operations: Operation[]): Operation[] {
  return [...operations.filter(isCgroup), ...operations.filter((operation) => !isCgroup(operation))];
}

function isCgroup({ op }: Operation): boolean {
  return op === 'joinCgroup';
}

function stages(
  contributions: LaunchContribution[],
  names: ('join' | 'setup' | 'privileges' | 'lockdown')[],
): Operation[] {
  return names.flatMap((name) => contributions.flatMap((contribution) => contribution[name] ?? []));
}

export function logSink({ container, sandbox, user }: ContainerSpec, name: 'stdout' | 'stderr'): LogSink {
  const { maxSize, maxFiles } = container.logs ?? {};
  return {
    path: `${sandbox}/${name}`,
    maxBytes: maxSize === undefined ? defaultLogBytes : parseWhole(maxSize),
    maxFiles: maxFiles ?? defaultLogFiles,
    uid: user.uid,
    gid: user.gid,
  };
}
