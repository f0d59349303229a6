/** From a LaunchSpec to the body of the engine's "create a container". Pure. */
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import { sandboxInImage } from '../../isolators/filesystem/sandbox.ts';
import { parseWhole } from '../../resources/quantity.ts';
import type { LaunchSpec } from '../containerizer.ts';
import { commandOf as shellOrCommand } from '../native/launch-request.ts';
import { applyParameters, type ParameterTarget } from './parameters.ts';

export interface CreateBody extends ParameterTarget {
  Image: string;
  Entrypoint?: string[];
  Cmd?: string[];
  Env: string[];
  User?: string;
  WorkingDir?: string;
  StopSignal?: string;
  ExposedPorts: Record<string, object>;
  HostConfig: ParameterTarget['HostConfig'] & Record<string, unknown>;
}

export interface ConfigContext {
  labels: Record<string, string>;
  /** Below each cgroup hierarchy. */
  cgroupParent: string;
  /** Sources of `spec.mounts`, in their order, as the engine is to look them up. */
  sources: string[];
  /** Names without CAP_. */
  capabilities: { effective: string[] };
  /** Content of a profile in Docker's format; absent: no filter. */
  seccomp: string | undefined;
  /** `name`, `uid` or `uid:gid`; absent: the image's. */
  user: string | undefined;
}

const defaultShmBytes = 64 * 2 ** 20;
/** Docker's scale, the same as the kernel's. */
const sharesPerCpu = 1024;
const microsPerPeriod = 100_000;

export function createBody(spec: LaunchSpec, context: ConfigContext): CreateBody {
  const { container, resources, task } = spec;
  const { requests, limits, pids } = resources;
  const memory = limits.memBytes ?? requests.memBytes;
  const { security } = container;
  const body: CreateBody = {
    Image: container.image!,
    ...commandOf(container),
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    ...(context.user !== undefined && { User: context.user }),
    ...workingDirectory(container),
    ...(container.stopSignal && { StopSignal: container.stopSignal }),
    Labels: context.labels,
    ...hostnameOf(task),
    ExposedPorts: Object.fromEntries(portsOf(spec).map(({ name }) => [name, {}])),
    HostConfig: {
      // The engine keeps the output; the agent copies it into the sandbox. Bounded, should the agent be away for long.
      LogConfig: { Type: 'json-file', Config: { 'max-size': '64m', 'max-file': '2' } },
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
      CgroupParent: context.cgroupParent,
      CpuShares: Math.max(2, Math.round(requests.cpus * sharesPerCpu)),
      ...(limits.cpus !== undefined &&
        limits.cpus !== Infinity && {
          CpuPeriod: microsPerPeriod,
          CpuQuota: Math.max(1000, Math.round(limits.cpus * microsPerPeriod)),
        }),
      // Both the same: no swap.
      ...(memory !== Infinity && {
        Memory: memory,
        MemorySwap: memory,
        MemoryReservation: Math.min(memory, requests.memBytes),
      }),
      ...(pids !== undefined && { PidsLimit: pids }),
      Init: true,
      NetworkMode: networkMode(task),
      PortBindings: Object.fromEntries(
        portsOf(spec).map(({ name, hostPort }) => [name, [{ HostPort: String(hostPort) }]]),
      ),
      Dns: task.spec.network?.dns?.nameservers ?? [],
      DnsSearch: task.spec.network?.dns?.search ?? [],
      DnsOptions: task.spec.network?.dns?.options ?? [],
      ExtraHosts: (task.spec.network?.hostAliases ?? []).flatMap(({ ip, hostnames }) =>
        hostnames.map((name) => `${name}:${ip}`),
      ),
      IpcMode: container.namespaces?.ipc === 'Host' ? 'host' : 'private',
      ...(container.namespaces?.pid === 'Host' && { PidMode: 'host' }),
      ShmSize: container.namespaces?.shmSize === undefined ? defaultShmBytes : parseWhole(container.namespaces.shmSize),
      ReadonlyRootfs: security?.readOnlyRootFilesystem ?? true,
      ...((security?.readOnlyRootFilesystem ?? true) && { Tmpfs: { '/tmp': 'mode=1777', '/run': 'mode=0755' } }),
      Privileged: security?.privileged ?? false,
      // Of a privileged one the engine grants what it knows; a newer kernel's it would not take by name.
      ...(!security?.privileged && { CapDrop: ['ALL'], CapAdd: context.capabilities.effective }),
      SecurityOpt: securityOptions(container, context.seccomp),
      Binds: bindsOf(spec, context.sources),
      Ulimits: (container.rlimits ?? []).map(({ type, soft, hard }) => ({
        Name: type.replace('RLMT_', '').toLowerCase(),
        Soft: soft ?? -1,
        Hard: hard ?? -1,
      })),
      Devices: (spec.devices ?? []).map(({ path, permissions }) => ({
        PathOnHost: path,
        PathInContainer: path,
        CgroupPermissions: permissions,
      })),
    },
  };
  applyParameters(body, container.docker?.parameters ?? []);
  return body;
}

/** Mesos's rules: `shell` and `command` take the entrypoint's place, `args` alone are handed to it. */
function commandOf(container: TaskContainer): Pick<CreateBody, 'Entrypoint' | 'Cmd'> {
  const { command, args, shell } = container;
  if (shell !== undefined || command !== undefined) return { Entrypoint: shellOrCommand(container), Cmd: [] };
  return args === undefined ? {} : { Cmd: args };
}

/** Relative to the sandbox. Absent: the sandbox, unless the image has one of its own and the document names no command. */
function workingDirectory({ workingDir, command, shell }: TaskContainer): Pick<CreateBody, 'WorkingDir'> {
  if (workingDir !== undefined)
    return { WorkingDir: workingDir.startsWith('/') ? workingDir : `${sandboxInImage}/${workingDir}` };
  return command === undefined && shell === undefined ? {} : { WorkingDir: sandboxInImage };
}

/** As with the native containerizer: the name of the task, where the network is its own. The kernel takes 64 characters, DNS 63. */
function hostnameOf({ metadata, spec: { network } }: Task): Pick<CreateBody, 'Hostname'> {
  if ((network?.mode ?? 'Host') === 'Host') return {};
  return { Hostname: (network?.hostname ?? metadata.name ?? '').slice(0, 63) };
}

/** `bridge` and the names of the operator's own networks are networks of the engine. */
function networkMode({ spec }: Task): string {
  switch (spec.network?.mode) {
    case 'None':
      return 'none';
    case 'Cni':
      return spec.network.networks?.[0]?.name ?? 'bridge';
    default:
      return 'host';
  }
}

/** What is published: on networks of the engine only, with the ports that the scheduler gave. */
function portsOf({ task, container }: LaunchSpec): { name: string; hostPort: number }[] {
  if (task.spec.network?.mode !== 'Cni') return [];
  return (container.ports ?? []).flatMap(({ name, containerPort, hostPort, protocol }) => {
    const given = task.spec.binding?.hostPorts?.find((port) => port.container === container.name && port.name === name);
    const outside = given?.hostPort ?? hostPort;
    if (!outside) return [];
    return [{ name: `${containerPort ?? outside}/${(protocol ?? 'TCP').toLowerCase()}`, hostPort: outside }];
  });
}

function securityOptions({ security }: TaskContainer, seccomp: string | undefined): string[] {
  const options = [`seccomp=${seccomp ?? 'unconfined'}`];
  if (security?.noNewPrivileges ?? true) options.push('no-new-privileges');
  const { appArmorProfile } = security ?? {};
  if (appArmorProfile?.type === 'Unconfined') options.push('apparmor=unconfined');
  if (appArmorProfile?.type === 'Localhost') options.push(`apparmor=${appArmorProfile.localhostProfile}`);
  return options;
}

function bindsOf({ sandbox, mounts }: LaunchSpec, sources: string[]): string[] {
  const propagations = { None: 'rprivate', HostToContainer: 'rslave', Bidirectional: 'rshared' };
  return [
    `${sandbox}:${sandboxInImage}`,
    ...mounts.map(({ target, readOnly, propagation = 'None' }, index) => {
      const path = target.startsWith('/') ? target : `${sandboxInImage}/${target}`;
      return `${sources[index]}:${path}:${readOnly ? 'ro' : 'rw'},${propagations[propagation]}`;
    }),
  ];
}
