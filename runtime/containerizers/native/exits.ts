/** What happens when a container's first process has ended. */
import type { ExitRecord } from '../../launcher/operations.ts';
import { type Container, endContainer } from './container.ts';
import type { NativeContext } from './context.ts';
import { endSharers } from './end-for-limitation.ts';
import { isPause } from './group.ts';
import { endLostGroups } from './group-lost.ts';
import { findLimitation } from './limitation-watch.ts';
import { lostTermination, terminationOf } from './termination.ts';

/** Called for each exit that the launcher reports; the supervisor has written the record durably by then. */
export function containerExited(context: NativeContext, record: ExitRecord): void {
  const container = context.containers.get(record.containerId);
  if (!container || container.ended) return;
  context.limitationWatch.delete(record.containerId);
  const termination = terminationFrom(context, container, record);
  endContainer(container, termination);
  if (termination.limitation) endSharers(context, record.containerId, termination.limitation);
  // Of one that is being removed nothing is lost.
  if (isPause(record.containerId) && !container.destroying) endLostGroups(context);
}

/** The cgroups still exist, so their counters still tell whether the memory limit did it. */
export function terminationFrom(context: NativeContext, container: Container, record: ExitRecord | undefined) {
  if (!record) return lostTermination(container.containerId);
  const limitation =
    container.limitation ??
    findLimitation(context.isolators, container.containerId) ??
    context.delegate?.limitation(record);
  return { ...terminationOf(record, limitation), ...(container.groupLost && { groupLost: true }) };
}
