/** GPUs as a resource: which CDI devices are whole ones, and who gets which. Pure. */
import { parseMilli } from '../../crds/quantity.ts';
import type { Task, TaskContainer } from '../../crds/types.generated.ts';
import type { CdiDevice } from './cdi/registry.ts';
import { DeviceRefused } from './device-refused.ts';

/** Absent `Agent.spec.isolation.gpuKinds`. */
export const defaultGpuKinds = ['nvidia.com/gpu', 'amd.com/gpu'] as const;

/**
 * One name per GPU. Specifications name one device several ways (by index and by UUID), and name all together (`all`): of devices with the same
 * nodes the first counts, and one whose nodes are those of others together counts for nothing.
 */
export function wholeGpus(devices: Iterable<CdiDevice>, kinds: readonly string[]): string[] {
  const candidates = [...devices].filter(({ kind, name }) => kinds.includes(kind) && !name.endsWith('=all'));
  const nodesOf = ({ edits }: CdiDevice) => new Set(edits.deviceNodes.map(({ hostPath, path }) => hostPath ?? path));
  const unique = new Map<string, CdiDevice>();
  for (const device of candidates) {
    const nodes = [...nodesOf(device)].sort();
    const key = nodes.length === 0 ? device.name : `${device.kind} ${nodes.join(' ')}`;
    if (!unique.has(key)) unique.set(key, device);
  }
  const all = [...unique.values()];
  return all
    .filter((device) => {
      const nodes = nodesOf(device);
      const parts = all.filter(
        (other) => other !== device && nodesOf(other).size > 0 && [...nodesOf(other)].every((node) => nodes.has(node)),
      );
      return new Set(parts.flatMap((part) => [...nodesOf(part)])).size < nodes.size || nodes.size === 0;
    })
    .map(({ name }) => name);
}

/** Whole GPUs that a container asks for. Throws DeviceRefused for a fraction. */
export function gpuCount({ resources }: TaskContainer): number {
  const milli = parseMilli(resources?.requests?.gpus ?? 0);
  if (milli % 1000 !== 0)
    throw new DeviceRefused(`resources.requests.gpus: ${resources?.requests?.gpus} is not a whole number`);
  return milli / 1000;
}

/**
 * The GPUs of each container of a task that asks for some, taken from those that nobody uses. Init containers are done before the others start,
 * and use the same ones. undefined when there are too few; an empty object when the task asks for none.
 */
export function assignGpus(task: Task, free: readonly string[]): Record<string, string[]> | undefined {
  const { containers = [], initContainers = [] } = task.spec;
  const assigned: Record<string, string[]> = {};
  let next = 0;
  for (const container of containers) {
    const count = gpuCount(container);
    if (count > 0) assigned[container.name] = free.slice(next, next + count);
    next += count;
  }
  for (const container of initContainers) {
    const count = gpuCount(container);
    if (count > 0) assigned[container.name] = free.slice(0, count);
    next = Math.max(next, count);
  }
  return next > free.length ? undefined : assigned;
}
