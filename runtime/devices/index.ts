/** The devices of tasks: device files, CDI devices and GPUs, under the operator's policy. */
import type { AgentIsolation, Task, TaskContainer } from '../../crds/types.generated.ts';
import type { ContainerDevice } from '../containerizers/containerizer.ts';
import { refusalsOf } from '../refusals-of.ts';
import { type CdiDevice, type CdiRegistry, defaultCdiDirectories, openCdiRegistry } from './cdi/registry.ts';
import { documentDevice } from './device-file.ts';
import { DeviceRefused } from './device-refused.ts';
import { cdiEdits, type DeviceEdits } from './edits.ts';
import { assignGpus, defaultGpuKinds, gpuCount, wholeGpus } from './gpus.ts';

export { DeviceRefused } from './device-refused.ts';
export type { DeviceEdits } from './edits.ts';

/** As in the CRD. */
const defaultPermissions = 'rw';

export type DevicePolicy = Pick<AgentIsolation, 'allowedDevices' | 'allowedCdiDevices' | 'cdiDirectories' | 'gpuKinds'>;

export interface Devices {
  /** Names of the whole GPUs of this machine, by the policy of an Agent document that may be newer than the one in force. */
  gpus(isolation?: DevicePolicy): string[];
  /** Why a task cannot have its devices here, ever: `field: reason`. */
  problems(task: Task): string[];
  /** Whether enough GPUs are free: those of an ended task are still used until nothing is left of it. */
  readiness(task: Task): { kind: 'Ready' } | { kind: 'Waiting'; reason: 'WaitingForGpus'; message: string };
  /** GPUs for each container that asks for some. Throws DeviceRefused when too few are free. */
  assign(task: Task): Record<string, string[]>;
  /** A task's GPUs are free again. */
  freed(): void;
  /** What a container's devices, and the GPUs it was given, add to its launch. Throws DeviceRefused. */
  resolve(container: TaskContainer, gpus?: readonly string[]): DeviceEdits;
}

/** `inUse` names the GPUs that tasks have, from their records: the only place where it is written. */
export function openDevices({
  policy,
  inUse,
  onFreed,
}: {
  policy(): DevicePolicy;
  inUse(): Iterable<string>;
  onFreed(): void;
}): Devices {
  const readRegistry = openCdiRegistry();
  const registry = (isolation = policy()) => readRegistry(isolation.cdiDirectories ?? defaultCdiDirectories);
  const kinds = () => policy().gpuKinds ?? defaultGpuKinds;
  const gpus = (isolation = policy()) =>
    wholeGpus(registry(isolation).devices.values(), isolation.gpuKinds ?? defaultGpuKinds);

  const devices: Devices = {
    gpus,
    freed: onFreed,

    problems(task) {
      const lists = { containers: task.spec.containers ?? [], initContainers: task.spec.initContainers ?? [] };
      return Object.entries(lists).flatMap(([list, containers]) =>
        containers.flatMap((container, index) =>
          refusalsOf(DeviceRefused, () => devices.resolve(container))
            .concat(refusalsOf(DeviceRefused, () => gpuCount(container)))
            .map((problem) => `spec.${list}[${index}].${problem}`),
        ),
      );
    },

    readiness(task) {
      const problem = refusalsOf(DeviceRefused, () => devices.assign(task))[0];
      return problem === undefined
        ? { kind: 'Ready' }
        : { kind: 'Waiting', reason: 'WaitingForGpus', message: problem };
    },

    assign(task) {
      const used = new Set(inUse());
      const free = asksForGpus(task) ? gpus().filter((name) => !used.has(name)) : [];
      const assigned = assignGpus(task, free);
      if (assigned) return assigned;
      throw new DeviceRefused(`resources.requests.gpus: only ${free.length} of the GPUs of this agent are free`);
    },

    resolve(container, given = []) {
      const asked = container.devices ?? [];
      const files = asked.flatMap((device, index) =>
        device.path === undefined ? [] : [deviceFile({ ...device, path: device.path }, `devices[${index}]`, policy())],
      );
      const names = asked.flatMap(({ cdi }, index) =>
        cdi === undefined ? [] : [allowedCdi(cdi, `devices[${index}].cdi`, policy(), kinds())],
      );
      if (names.length + given.length === 0) return { devices: files, mounts: [], env: {}, supplementalGids: [] };
      const known = registry();
      const edits = cdiEdits([...given, ...names].map((name) => findDevice(name, known)));
      return { ...edits, devices: [...edits.devices, ...files] };
    },
  };
  return devices;
}

function asksForGpus({ spec }: Task): boolean {
  return [...(spec.containers ?? []), ...(spec.initContainers ?? [])].some((container) => gpuCount(container) > 0);
}

function deviceFile(
  {
    path,
    containerPath = path,
    permissions = defaultPermissions,
  }: { path: string; containerPath?: string; permissions?: string },
  field: string,
  policy: DevicePolicy,
): ContainerDevice {
  if (!(policy.allowedDevices ?? []).includes(path))
    throw new DeviceRefused(`${field}.path: this agent does not allow ${path} (Agent spec.isolation.allowedDevices)`);
  if (!containerPath.startsWith('/dev/') || containerPath.split('/').includes('..'))
    throw new DeviceRefused(`${field}.containerPath: ${containerPath} is not below /dev`);
  return { path: containerPath, ...documentDevice(path, `${field}.path`), permissions };
}

function allowedCdi(name: string, field: string, policy: DevicePolicy, gpuKinds: readonly string[]): string {
  const kind = name.slice(0, name.indexOf('='));
  if (gpuKinds.includes(kind))
    throw new DeviceRefused(`${field}: ${kind} devices are given out one by one: ask for resources.requests.gpus`);
  const allowed: readonly string[] = policy.allowedCdiDevices ?? [];
  if (!allowed.includes(name) && !allowed.includes(kind))
    throw new DeviceRefused(`${field}: this agent does not allow ${name} (Agent spec.isolation.allowedCdiDevices)`);
  return name;
}

function findDevice(name: string, { devices, problems }: CdiRegistry): CdiDevice {
  const found = devices.get(name);
  if (found) return found;
  const hint = problems.length > 0 ? ` (left out: ${problems.join('; ')})` : '';
  throw new DeviceRefused(`devices: no CDI specification of this agent has ${name}${hint}`);
}
