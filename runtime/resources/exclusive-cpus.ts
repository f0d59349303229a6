/** Which processors a container gets for itself. Pure. */
import type { Processor } from './topology.ts';

export interface CpuRequest {
  count: number;
  /** NUMA nodes that they must be of. Absent: any. */
  nodes?: readonly number[];
}

export interface CpuOccupancy {
  /** Given exclusively to others already. */
  taken: ReadonlySet<number>;
  /** Lists that containers are pinned to: each must keep one processor that is nobody's own. */
  pinned: readonly (readonly number[])[];
}

/**
 * Whole cores first and of one NUMA node where possible: of the nodes with enough free processors the one with the fewest, so that large ones
 * stay whole; without such a node, of as few nodes as it takes. At least one processor always stays for all who have none of their own.
 * undefined when there are not enough.
 */
export function chooseCpus(
  topology: readonly Processor[],
  { count, nodes }: CpuRequest,
  { taken, pinned }: CpuOccupancy,
): number[] | undefined {
  const free = topology.filter(({ id, node }) => !taken.has(id) && (nodes === undefined || nodes.includes(node)));
  const untaken = topology.map(({ id }) => id).filter((id) => !taken.has(id));
  const mustKeepOne = [untaken, ...pinned.map((list) => list.filter((id) => !taken.has(id)))];
  const byNode = [...Map.groupBy(free, ({ node }) => node).values()];
  const fitting = byNode.filter((cpus) => cpus.length >= count).sort((a, b) => a.length - b.length);
  const spanning = byNode.sort((a, b) => b.length - a.length).flat();
  for (const candidates of [...fitting, spanning]) {
    const chosen = pick(candidates, topology, count, mustKeepOne);
    if (chosen) return chosen.sort((a, b) => a - b);
  }
  return undefined;
}

function pick(
  candidates: readonly Processor[],
  topology: readonly Processor[],
  count: number,
  mustKeepOne: readonly (readonly number[])[],
): number[] | undefined {
  const chosen = new Set<number>();
  const isKept = (ids: readonly number[]) =>
    mustKeepOne.every((list) => list.length === 0 || list.some((id) => !chosen.has(id) && !ids.includes(id)));
  const threads = Map.groupBy(topology, ({ core }) => core);
  const cores = [...Map.groupBy(candidates, ({ core }) => core)].map(([core, cpus]) => ({
    ids: cpus.map(({ id }) => id),
    isWhole: cpus.length === threads.get(core)!.length,
  }));
  for (const { ids, isWhole } of cores) {
    if (isWhole && ids.length <= count - chosen.size && isKept(ids)) for (const id of ids) chosen.add(id);
  }
  // What is left over comes from cores that are broken already, before another one is broken.
  const rest = cores.toSorted((a, b) => Number(a.isWhole) - Number(b.isWhole)).flatMap(({ ids }) => ids);
  for (const id of rest) {
    if (chosen.size < count && !chosen.has(id) && isKept([id])) chosen.add(id);
  }
  return chosen.size === count ? [...chosen] : undefined;
}
