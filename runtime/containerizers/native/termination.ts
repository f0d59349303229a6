/** How a container ended, from the supervisor's record and what the isolators know. Pure. */
import type { Limitation } from '../../isolators/isolator.ts';
import type { ExitRecord } from '../../launcher/operations.ts';
import type { Termination } from '../containerizer.ts';

export function terminationOf(record: ExitRecord, limitation?: Limitation): Termination {
  return {
    containerId: record.containerId,
    ...(record.exitCode !== undefined && { exitCode: record.exitCode }),
    ...(record.signal !== undefined && { signal: record.signal }),
    oomKilled: limitation?.reason === 'ContainerLimitationMemory',
    finishedAt: new Date(record.finishedAtMs),
    ...(limitation && { limitation }),
    ...(record.lost && { lost: true }),
  };
}

/** Nobody recorded how it ended: the machine was restarted, or its supervisor killed. */
export function lostTermination(containerId: string): Termination {
  return { containerId, oomKilled: false, finishedAt: new Date(), lost: true };
}
