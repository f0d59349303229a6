/** What a changed document asks of a task that was launched already: cpu and memory are applied, other changes are named. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { ContainerResources, Task, TaskContainer } from '../../../crds/types.generated.ts';

export interface SpecChange {
  /** Containers whose cpu or memory is to be another. */
  resources: string[];
  /** Paths of other fields that differ from what was launched. */
  unapplied: string[];
}

/** Not about what runs, applied by others, or looked at when it counts. */
const IGNORED = new Set(['binding', 'desiredState', 'killPolicy', 'containers', 'initContainers']);

/** `launched` is the document as it was launched, with the resources that were applied since. */
export function specChange(launched: Task, wanted: Task): SpecChange {
  const change: SpecChange = { resources: [], unapplied: [] };
  const [before, after] = [launched.spec as object, wanted.spec as object] as Record<string, unknown>[];
  for (const field of new Set([...Object.keys(before!), ...Object.keys(after!)])) {
    if (!IGNORED.has(field) && !isDeepStrictEqual(before![field], after![field]))
      change.unapplied.push(`spec.${field}`);
  }
  for (const list of ['initContainers', 'containers'] as const) {
    const containers = launched.spec[list] ?? [];
    for (const [index, container] of (wanted.spec[list] ?? []).entries()) {
      const old = containers.find(({ name }) => name === container.name);
      if (old === undefined) change.unapplied.push(`spec.${list}[${index}]`);
      else compareContainers(old, container, `spec.${list}[${index}]`, change);
    }
  }
  return change;
}

/** The launched document with the cpu and memory of another one for this container. */
export function withResources(launched: Task, wanted: Task, name: string): Task {
  const replace = (list: TaskContainer[] | undefined, source: TaskContainer[] | undefined) =>
    list?.map((container) => {
      const other = source?.find((candidate) => candidate.name === container.name);
      if (container.name !== name || other === undefined) return container;
      return { ...container, resources: mergeResources(container.resources, other.resources) };
    });
  return {
    ...launched,
    spec: {
      ...launched.spec,
      containers: replace(launched.spec.containers, wanted.spec.containers) ?? [],
      ...(launched.spec.initContainers && {
        initContainers: replace(launched.spec.initContainers, wanted.spec.initContainers),
      }),
    },
  };
}

function compareContainers(before: TaskContainer, after: TaskContainer, path: string, change: SpecChange): void {
  const [old, now] = [before, after] as unknown as Record<string, unknown>[];
  for (const field of new Set([...Object.keys(old!), ...Object.keys(now!)])) {
    if (field === 'resources' || isDeepStrictEqual(old![field], now![field])) continue;
    change.unapplied.push(`${path}.${field}`);
  }
  const isOther = !isDeepStrictEqual(liveResources(before.resources), liveResources(after.resources));
  if (isOther) change.resources.push(after.name);
  if (!isDeepStrictEqual(withoutLive(before.resources), withoutLive(after.resources)))
    change.unapplied.push(`${path}.resources`);
}

/** The part that can be changed while the container runs. */
function liveResources(resources: ContainerResources | undefined) {
  const pick = (amounts: { cpus?: unknown; mem?: unknown } | undefined) => [amounts?.cpus, amounts?.mem];
  return [pick(resources?.requests), pick(resources?.limits)];
}

function withoutLive(resources: ContainerResources | undefined): unknown {
  const strip = (amounts: object | undefined) =>
    Object.entries(amounts ?? {}).filter(([name]) => name !== 'cpus' && name !== 'mem');
  const { requests, limits, ...rest } = resources ?? {};
  return [rest, strip(requests), strip(limits)];
}

function mergeResources(
  before: ContainerResources | undefined,
  after: ContainerResources | undefined,
): ContainerResources {
  const merge = (old: object | undefined, now: { cpus?: unknown; mem?: unknown } | undefined) => {
    const kept = Object.entries(old ?? {}).filter(([name]) => name !== 'cpus' && name !== 'mem');
    return {
      ...Object.fromEntries(kept),
      ...(now?.cpus !== undefined && { cpus: now.cpus }),
      ...(now?.mem !== undefined && { mem: now.mem }),
    };
  };
  const limits = merge(before?.limits, after?.limits);
  return {
    ...before,
    requests: merge(before?.requests, after?.requests),
    ...(Object.keys(limits).length > 0 ? { limits } : { limits: undefined }),
  } as ContainerResources;
}
