/**
 * From the native launch request to an OCI runtime configuration (runtime-spec 1.0). The launcher still carries out everything that builds the
 * root file system, in a mount namespace of its own around the runtime; what has to happen inside the container's namespaces becomes
 * configuration. Pure.
 */
import { capabilityNames } from '../../isolators/capabilities.ts';
import { IsolationRefused } from '../../isolators/isolator.ts';
import { rlimitNumbers } from '../../isolators/rlimits.ts';
import { type DeviceRule, type LaunchRequest, type Operation, RLIMIT_UNLIMITED } from '../../launcher/operations.ts';
import { exactNumber } from '../exact-number.ts';
import type { OciBlockIo } from './block-io.ts';

export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

export interface OciProcess {
  terminal: boolean;
  /** Of the terminal, before somebody says another one. */
  consoleSize?: { height: number; width: number };
  user: { uid: number; gid: number; umask?: number; additionalGids: number[] };
  args: string[];
  env: string[];
  cwd: string;
  capabilities: Record<'bounding' | 'effective' | 'inheritable' | 'permitted' | 'ambient', string[]>;
  rlimits: { type: string; soft: unknown; hard: unknown }[];
  noNewPrivileges: boolean;
  oomScoreAdj?: number;
  apparmorProfile?: string;
}

export interface OciConfig {
  ociVersion: '1.0.2';
  process: OciProcess;
  root: { path: string; readonly: boolean };
  hostname?: string;
  mounts: OciMount[];
  linux: {
    namespaces: { type: string; path?: string }[];
    devices: { path: string; type: string; major: number; minor: number; fileMode: number; uid: number; gid: number }[];
    resources: {
      devices: { allow: boolean; type?: string; major?: number; minor?: number; access: string }[];
      blockIO?: OciBlockIo;
    };
    cgroupsPath: string;
    maskedPaths: string[];
    readonlyPaths: string[];
    rootfsPropagation: 'private';
    seccomp?: unknown;
  };
}

export interface Translated {
  config: OciConfig;
  /** For the launcher, before it executes the runtime. */
  operations: Operation[];
}

export interface TranslationContext {
  rootMountPoint: string;
  /** Of the cgroup that the runtime makes below ours. */
  cgroupsPath: string;
  /** Our own group in a pure cgroup v2: the container sees it, and its limits, in place of the one below. */
  ownGroup?: string;
  /** Rates of disks that our own group cannot keep. */
  blockIo?: OciBlockIo;
  /** In the form of the OCI configuration; absent: no filter. */
  seccomp?: unknown;
}

/** Throws IsolationRefused for an operation that has no counterpart. */
export function toOci(request: LaunchRequest, context: TranslationContext): Translated {
  const config: OciConfig = {
    ociVersion: '1.0.2',
    process: newProcess(request),
    root: { path: context.rootMountPoint, readonly: request.operations.some(sealsRoot) },
    mounts: [],
    linux: {
      namespaces: namespacesOf(request),
      devices: [],
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        ...(context.blockIo && { blockIO: context.blockIo }),
      },
      cgroupsPath: context.cgroupsPath,
      maskedPaths: [],
      readonlyPaths: [],
      rootfsPropagation: 'private',
      ...(context.seccomp !== undefined && { seccomp: context.seccomp }),
    },
  };
  const operations = request.operations.filter((operation) => !translate(operation, config, context));
  return { config, operations };
}

/** The process half of a configuration, also for a further command in a running container. */
export function newProcess({ argv, env }: Pick<LaunchRequest, 'argv' | 'env'>): OciProcess {
  return {
    terminal: false,
    user: { uid: 0, gid: 0, additionalGids: [] },
    args: argv,
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    cwd: '/',
    capabilities: { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] },
    rlimits: [],
    noNewPrivileges: false,
  };
}

/** Applies an operation of the stages `privileges` and `lockdown`; false when it is none of these. */
export function translateProcess(operation: Operation, process: OciProcess): boolean {
  switch (operation.op) {
    case 'rlimit':
      process.rlimits.push({
        type: rlimitName(operation.resource),
        soft: rlimitValue(operation.soft),
        hard: rlimitValue(operation.hard),
      });
      return true;
    case 'oomScoreAdj':
      process.oomScoreAdj = operation.value;
      return true;
    case 'umask':
      process.user.umask = operation.mask;
      return true;
    case 'user':
      Object.assign(process.user, { uid: operation.uid, gid: operation.gid, additionalGids: operation.groups });
      return true;
    case 'capabilities':
      for (const set of ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'] as const)
        process.capabilities[set] = operation[set].map((number) => `CAP_${capabilityNames[number]}`);
      return true;
    case 'noNewPrivileges':
      process.noNewPrivileges = true;
      return true;
    case 'workingDirectory':
      process.cwd = operation.path;
      return true;
    case 'appArmorProfile':
      process.apparmorProfile = operation.profile;
      return true;
    // It makes one in the container, and copies between that and the one it has itself.
    case 'terminal':
      process.terminal = true;
      process.consoleSize = { height: 24, width: 80 };
      return true;
    // The runtime compiles the same profile itself.
    case 'seccomp':
      return true;
    default:
      return false;
  }
}

function toDeviceRule({ type, ...rule }: DeviceRule): OciConfig['linux']['resources']['devices'][number] {
  return { allow: true, ...(type !== 'a' && { type }), ...rule };
}

/** Whether the operation became configuration (or is the runtime's business anyway), so that the launcher must not carry it out. */
function translate(operation: Operation, config: OciConfig, { ownGroup }: TranslationContext): boolean {
  if (translateProcess(operation, config.process)) return true;
  switch (operation.op) {
    case 'joinNamespace':
      return joinNamespace(operation, config);
    case 'deviceRules':
      // The runtime has a way of its own to make the nodes: only what the container may do later counts, which is said last.
      config.linux.resources.devices = [{ allow: false, access: 'rwm' }, ...operation.rules.map(toDeviceRule)];
      return true;
    case 'joinCgroup':
    case 'pivotRoot':
    case 'loopbackUp':
      return true;
    case 'hostname':
      config.hostname = operation.name;
      return true;
    case 'mount':
      if (!isKernelPath(operation.target)) return false;
      config.mounts.push(toMount(operation.fstype === 'cgroup2' ? bindOf(operation, ownGroup!) : operation));
      return true;
    case 'setMountAttributes':
      // Left out there: it is about a small tmpfs that mounts were made on. As a `readonlyPath`, crun would make those mounts writable.
      return isKernelPath(operation.target);
    case 'mask':
      if (!isKernelPath(operation.path)) return false;
      config.linux.maskedPaths.push(operation.path);
      return true;
    case 'readOnly':
      if (!isKernelPath(operation.path)) return false;
      config.linux.readonlyPaths.push(operation.path);
      return true;
    case 'mknod':
      if (!isKernelPath(operation.path)) return false;
      if (!madeByRuntimes.includes(operation.path)) addDevice(operation, config);
      return true;
    // Mount points and links below /dev, /proc and /sys are made by the runtime.
    case 'mkdir':
    case 'symlink':
    case 'createFile':
      return isBelowKernelPath(operation.path);
    case 'enterRoot':
    case 'overlay':
      return false;
    default:
      throw new IsolationRefused(`containerizer oci: cannot hand "${(operation as Operation).op}" to the runtime`);
  }
}

/** Every runtime makes these and allows their use (runtime-spec, "Default Devices"); runc allows them only where the configuration does not name them. */
const madeByRuntimes = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`);

const kernelDirectories = ['/proc', '/sys', '/dev'];

function isKernelPath(path: string): boolean {
  return kernelDirectories.includes(path) || isBelowKernelPath(path);
}

function isBelowKernelPath(path: string): boolean {
  return kernelDirectories.some((directory) => path.startsWith(`${directory}/`));
}

function sealsRoot(operation: Operation): boolean {
  return operation.op === 'setMountAttributes' && operation.target === '/' && operation.set.includes('ro');
}

const ociNamespaces = { pid: 'pid', ipc: 'ipc', uts: 'uts', net: 'network' } as const;

function joinNamespace({ path, kinds }: Extract<Operation, { op: 'joinNamespace' }>, { linux }: OciConfig): true {
  if (path === undefined) throw new IsolationRefused('containerizer oci: cannot share the namespaces of a process');
  for (const kind of kinds) linux.namespaces.push({ type: ociNamespaces[kind], path });
  return true;
}

/** The node, and the right to use it. */
function addDevice(
  { path, type, major, minor, mode, uid = 0, gid = 0 }: Extract<Operation, { op: 'mknod' }>,
  { linux }: OciConfig,
): void {
  linux.devices.push({ path, type, major, minor, fileMode: mode, uid, gid });
  linux.resources.devices.push({ allow: true, type, major, minor, access: 'rw' });
}

type Mount = Extract<Operation, { op: 'mount' }>;

function bindOf({ fstype: _, flags, ...mount }: Mount, source: string): Mount {
  return { ...mount, source, flags: ['bind', ...flags] };
}

function toMount({ source, target, fstype, flags, data }: Mount): OciMount {
  const isBind = flags.includes('bind') || flags.includes('rbind');
  return {
    destination: target,
    type: fstype ?? 'bind',
    source,
    // Ids are those of the host here.
    options: [
      ...flags.filter((flag) => flag !== 'idmap'),
      ...(isBind ? ['rprivate'] : []),
      ...(data ? data.split(',') : []),
    ],
  };
}

function namespacesOf({ namespaces }: LaunchRequest): OciConfig['linux']['namespaces'] {
  const types: [keyof LaunchRequest['namespaces'], string][] = [
    ['mount', 'mount'],
    ['pid', 'pid'],
    ['ipc', 'ipc'],
    ['uts', 'uts'],
    ['cgroup', 'cgroup'],
    ['network', 'network'],
  ];
  return types.flatMap(([name, type]) => (namespaces[name] ? [{ type }] : []));
}

function rlimitName(resource: number): string {
  const found = Object.entries(rlimitNumbers).find(([, number]) => number === resource);
  return found![0].replace('RLMT_', 'RLIMIT_');
}

/** As a raw number: the largest ones do not fit a JavaScript number. */
function rlimitValue(value: bigint): unknown {
  return exactNumber(value === RLIMIT_UNLIMITED ? 2n ** 64n - 1n : value);
}
