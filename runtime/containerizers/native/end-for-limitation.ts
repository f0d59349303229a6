/** Ending a container that went over a limit, and with it those that share the limit. */
import type { Limitation } from '../../isolators/isolator.ts';
import type { NativeContext } from './context.ts';
import { sharesLimits } from './group.ts';

export function endForLimitation(context: NativeContext, containerId: string, limitation: Limitation): void {
  const container = context.containers.get(containerId);
  if (!container || container.ended) return;
  container.limitation = limitation;
  context.logger.info(
    { containerID: containerId, op: limitation.reason },
    'a container was ended for going over a limit',
  );
  if (!endSharers(context, containerId, limitation)) context.cgroups.kill(containerId);
}

/** What the containers of a task have together, all have gone over. False when this limit is the container's own. */
export function endSharers(context: NativeContext, containerId: string, limitation: Limitation): boolean {
  const spec = context.containers.get(containerId)?.spec;
  if (!limitation.isShared || !spec || !sharesLimits(spec)) return false;
  for (const member of context.containers.values()) {
    if (member.spec?.groupId === spec.groupId && !member.ended) member.limitation ??= limitation;
  }
  context.cgroups.kill(spec.groupId!);
  return true;
}
