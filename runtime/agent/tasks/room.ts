/** What the tasks of this agent leave of what it offers. Pure. */
import { parseBytes, parseMilli } from '../../../crds/quantity.ts';
import type { AgentStatus } from '../../../crds/types.generated.ts';
import { groupResources } from './launch.ts';
import type { TaskRecord } from './record.ts';

export interface Room {
  /** Cores. */
  cpus: number;
  memBytes: number;
}

/** Of the live tasks by what was granted to them, not by what their documents say meanwhile; undefined before the agent is registered. */
export function roomLeft(
  allocatable: AgentStatus['allocatable'],
  records: Iterable<TaskRecord | undefined>,
): Room | undefined {
  if (allocatable?.cpus === undefined || allocatable.mem === undefined) return undefined;
  const room = { cpus: parseMilli(allocatable.cpus) / 1000, memBytes: parseBytes(allocatable.mem) };
  for (const record of records) {
    if (record?.phase !== 'Live' || record.task === undefined) continue;
    const { requests } = groupResources(record.task);
    room.cpus -= requests.cpus;
    room.memBytes -= requests.memBytes;
  }
  return room;
}
