/**
 * Which processors and NUMA nodes a container may use: a list of its own (`cpuset`, `memoryNodes`), processors that nobody else uses
 * (`exclusiveCpus`), or, as long as anybody has such, all others.
 *
 * As long as nobody asks for any of this, nothing is made: the first exclusive container has the processes of the running ones moved to the rest
 * of the processors. The groups themselves say who has which: they are there exactly as long as the container is, so a later agent process
 * reads them, and a crash at any point leaves nothing that its recovery does not put right.
 */
import { existsSync } from 'node:fs';
import { parseMilli } from '../../../crds/quantity.ts';
import type { ContainerResources as DocumentResources } from '../../../crds/types.generated.ts';
import { errorCode, readControl, writeControl } from '../../cgroups/files.ts';
import { formatCpuList, parseCpuList } from '../../resources/cpu-list.ts';
import { chooseCpus } from '../../resources/exclusive-cpus.ts';
import { type Processor, readNodes, readTopology } from '../../resources/topology.ts';
import { type ContainerSpec, IsolationRefused, type Isolator, type IsolatorHost } from '../isolator.ts';
import { withoutController } from './without-controller.ts';

export function cpusetIsolator(
  { cgroups }: Pick<IsolatorHost, 'cgroups'>,
  readProcessors: () => Processor[] = readTopology,
): Isolator {
  const { extra } = cgroups;
  const version = extra.version('cpuset');
  /** Processors of their own. */
  const exclusive = new Map<string, number[]>();
  /** Lists of the document; undefined: only NUMA nodes are given. */
  const pinned = new Map<string, number[] | undefined>();
  const others = new Set<string>();

  const taken = () => new Set([...exclusive.values()].flat());
  /** What of a list, or of all processors, is nobody's own. */
  const open = (list = readProcessors().map(({ id }) => id)) => list.filter((id) => !taken().has(id));

  /** Writes what is open to everybody without processors of their own. Idempotent. */
  const apply = () => {
    for (const [id, list] of pinned) writeCpus(extra.find(id, 'cpuset'), open(list));
    if (version === 'v1') {
      const shared = exclusive.size > 0 ? extra.shared('cpuset') : extra.findShared('cpuset');
      if (shared === undefined) return;
      writeCpus(shared, open());
      if (exclusive.size > 0) for (const id of others) moveProcesses(() => cgroups.processes(id), shared);
      return;
    }
    for (const id of others) keepOff(id);
  };
  /** v2: in its own group, once the controller is needed. */
  const keepOff = (id: string) => {
    const directory = exclusive.size > 0 ? extra.add(id, 'cpuset') : extra.find(id, 'cpuset');
    // One that was never kept off anything follows the group above it. One that was cannot go back: the kernel lets nobody empty the list of a
    // group in use.
    if (directory && (exclusive.size > 0 || readControl(`${directory}/cpuset.cpus`)?.trim()))
      writeCpus(directory, open());
  };

  const giveExclusive = (id: string, count: number, memoryNodes: string | undefined) => {
    const request = { count, ...(memoryNodes !== undefined && { nodes: parseCpuList(memoryNodes) }) };
    const lists = [...pinned.values()].filter((list) => list !== undefined);
    const chosen = chooseCpus(readProcessors(), request, { taken: taken(), pinned: lists });
    if (!chosen)
      throw new IsolationRefused(
        `resources.exclusiveCpus: this agent has no ${count} processors left to give away; ` +
          `${formatCpuList(taken()) || 'none'} are given to others, and one stays for those who share`,
      );
    const directory = extra.add(id, 'cpuset');
    exclusive.set(id, chosen);
    writeControl(`${directory}/cpuset.cpus`, formatCpuList(chosen));
    return directory;
  };
  const pin = (id: string, cpuset: string | undefined) => {
    const list = cpuset === undefined ? undefined : parseCpuList(cpuset);
    const usable = open(list);
    if (usable.length === 0)
      throw new IsolationRefused(`resources.cpuset: all processors of ${cpuset} are given exclusively to others`);
    const directory = extra.add(id, 'cpuset');
    pinned.set(id, list);
    if (list || exclusive.size > 0) writeControl(`${directory}/cpuset.cpus`, formatCpuList(usable));
    return directory;
  };

  return {
    name: 'cgroups/cpuset',
    asks: ({ resources }) =>
      (['cpuset', 'memoryNodes', 'exclusiveCpus'] as const)
        .filter((field) => resources?.[field])
        .map((field) => `resources.${field}`)[0],
    problems: ({ resources }) => cpusetProblems(resources ?? {}, version !== undefined, readProcessors()),

    prepare({ containerId, container, resources }) {
      if (version === undefined) return;
      const { cpuset, memoryNodes, exclusiveCpus } = container.resources ?? {};
      if (!exclusiveCpus && cpuset === undefined && memoryNodes === undefined) {
        others.add(containerId);
        if (version === 'v2' && exclusive.size > 0) keepOff(containerId);
        return;
      }
      const directory = exclusiveCpus
        ? giveExclusive(containerId, resources.requests.cpus, memoryNodes)
        : pin(containerId, cpuset);
      if (memoryNodes !== undefined) writeControl(`${directory}/cpuset.mems`, memoryNodes);
      if (exclusiveCpus) apply();
    },

    contribute({ containerId }) {
      if (version !== 'v1') return {};
      const own = extra.find(containerId, 'cpuset');
      const group = own ?? (exclusive.size > 0 && others.has(containerId) ? extra.shared('cpuset') : undefined);
      return group === undefined ? {} : { join: [{ op: 'joinCgroup', path: `${group}/tasks` }] };
    },

    recover(specs: ContainerSpec[]) {
      for (const { containerId, container } of specs) {
        const { cpuset, memoryNodes, exclusiveCpus } = container.resources ?? {};
        const group = extra.find(containerId, 'cpuset');
        const cpus = group && readControl(`${group}/cpuset.cpus`);
        if (exclusiveCpus && cpus) exclusive.set(containerId, parseCpuList(cpus));
        else if (cpuset !== undefined || memoryNodes !== undefined)
          pinned.set(containerId, cpuset === undefined ? undefined : parseCpuList(cpuset));
        else others.add(containerId);
      }
      if (version !== undefined) apply();
    },

    update(containerId, resources) {
      const own = exclusive.get(containerId);
      if (own && own.length !== resources.requests.cpus)
        throw new IsolationRefused('resources.requests.cpus: cannot change while exclusiveCpus is true');
    },

    async cleanup(containerId) {
      others.delete(containerId);
      pinned.delete(containerId);
      if (exclusive.delete(containerId)) apply();
    },
  };
}

/** `field: reason`; the fields' form is the CRD's affair. */
function cpusetProblems(
  { cpuset, memoryNodes, exclusiveCpus, requests }: DocumentResources,
  isThere: boolean,
  processors: readonly Processor[],
): string[] {
  const asked = [
    cpuset !== undefined && 'cpuset',
    memoryNodes !== undefined && 'memoryNodes',
    exclusiveCpus && 'exclusiveCpus',
  ];
  if (!isThere)
    return asked
      .filter((field) => typeof field === 'string')
      .map((field) => `resources.${field}: ${withoutController('cpuset')}`);
  const ids = processors.map(({ id }) => id);
  return [
    ...missingFrom('cpuset', cpuset, ids, 'processors'),
    ...missingFrom('memoryNodes', memoryNodes, readNodes(), 'NUMA nodes'),
    ...(exclusiveCpus && !isWholeNumber(requests?.cpus)
      ? [`resources.exclusiveCpus: requests.cpus must be a whole number, it is ${requests?.cpus ?? '100m'}`]
      : []),
  ];
}

function missingFrom(field: string, list: string | undefined, there: readonly number[], what: string): string[] {
  if (list === undefined) return [];
  try {
    const missing = parseCpuList(list).filter((number) => !there.includes(number));
    if (missing.length === 0) return [];
    return [`resources.${field}: this agent has ${what} ${formatCpuList(there)}, not ${formatCpuList(missing)}`];
  } catch (error) {
    return [`resources.${field}: ${(error as Error).message}`];
  }
}

function isWholeNumber(cpus: string | number | undefined): boolean {
  return cpus !== undefined && parseMilli(cpus) > 0 && parseMilli(cpus) % 1000 === 0;
}

/** A group that is going away meanwhile needs nothing. */
function writeCpus(directory: string | undefined, cpus: readonly number[]): void {
  if (directory === undefined || !existsSync(directory)) return;
  writeControl(`${directory}/cpuset.cpus`, formatCpuList(cpus));
}

/** Until a look finds nobody new: what is forked meanwhile is born where its parent was. */
function moveProcesses(processes: () => number[], group: string): void {
  const moved = new Set<number>();
  for (let round = 0; round < 100; round++) {
    const found = processes().filter((pid) => !moved.has(pid));
    if (found.length === 0) return;
    for (const pid of found) {
      moved.add(pid);
      try {
        writeControl(`${group}/cgroup.procs`, pid);
      } catch (error) {
        // It has ended.
        if (errorCode((error as Error).cause) !== 'ESRCH') throw error;
      }
    }
  }
}
