/** Which processors this machine has, and which of them share a core or a NUMA node. */
import { readdirSync, readFileSync } from 'node:fs';
import { parseCpuList } from './cpu-list.ts';

export interface Processor {
  id: number;
  /** The same for the threads of one core. */
  core: string;
  node: number;
}

/** Of the processors that are online. Where the kernel tells nothing, each is a core of node 0. */
export function readTopology(sysRoot = '/sys/devices/system'): Processor[] {
  const nodes = new Map<number, number>();
  for (const node of readNodes(sysRoot)) {
    for (const id of parseCpuList(read(`${sysRoot}/node/node${node}/cpulist`) ?? '')) nodes.set(id, node);
  }
  return parseCpuList(read(`${sysRoot}/cpu/online`) ?? '').map((id) => {
    const topology = `${sysRoot}/cpu/cpu${id}/topology`;
    const core = read(`${topology}/core_id`);
    const socket = read(`${topology}/physical_package_id`);
    return { id, core: core === undefined ? `cpu${id}` : `${socket}:${core}`, node: nodes.get(id) ?? 0 };
  });
}

/** Numbers of the NUMA nodes that have memory or processors. */
export function readNodes(sysRoot = '/sys/devices/system'): number[] {
  try {
    return readdirSync(`${sysRoot}/node`).flatMap((name) => {
      const number = /^node(\d+)$/.exec(name)?.[1];
      return number === undefined ? [] : [Number(number)];
    });
  } catch {
    return [0];
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
