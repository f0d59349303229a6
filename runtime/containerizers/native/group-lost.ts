/**
 * When the process that keeps what a task's containers share ends by itself (killed from outside, or by the kernel): the containers end too. They
 * would go on with namespaces that nobody can join any more, and one that is started later would share nothing with them.
 */
import type { NativeContext } from './context.ts';
import { isPause, pauseIdOf } from './group.ts';

/** Ends what still runs of groups whose shared process is gone. Idempotent. */
export function endLostGroups(context: NativeContext): void {
  const { containers, cgroups, logger } = context;
  const groups = new Set([...containers.values()].flatMap(({ spec }) => spec?.groupId ?? []));
  for (const groupId of groups) {
    const pause = containers.get(pauseIdOf(groupId));
    if (pause && !pause.ended) continue;
    // Also one that is being started: its process may be there already.
    const members = [...containers.values()].filter(
      ({ containerId, spec, ended }) => spec?.groupId === groupId && !isPause(containerId) && !ended,
    );
    if (members.length === 0) continue;
    for (const member of members) member.groupLost = true;
    logger.warn({ containerID: groupId, op: 'groupLost' }, 'what containers share was lost: they are ended');
    cgroups.kill(groupId);
  }
}
