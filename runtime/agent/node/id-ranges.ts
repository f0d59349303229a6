/**
 * User and group ids that tasks have for themselves on this machine. A range belongs to one task from the decision to launch it until its containers
 * are removed; task records keep it, so it is known again after a restart of the agent.
 */
import { createHash } from 'node:crypto';
import type { UserNamespace } from '../../containerizers/containerizer.ts';

export interface IdRangesPolicy {
  enabled: boolean;
  firstHostId: number;
  idsPerTask: number;
}

/**
 * Between 1879048192 and 2147483647 nobody else has ids by systemd's account of the world (uid ranges: "HIC SVNT LEONES"): neither users nor
 * nspawn, subordinate ids or dynamic users. 65536 is what distributions and images assume that a system has.
 */
export const defaultIdRanges: IdRangesPolicy = { enabled: true, firstHostId: 1_879_048_192, idsPerTask: 65_536 };
/** From 2^31 on some programs and file systems fail. */
const lastId = 2 ** 31 - 1;

export interface IdRanges {
  /** The task's range: the one it has, else a new one. Undefined when the policy gives none, or all are taken. */
  give(taskUid: string): UserNamespace | undefined;
  /** One that an earlier agent process gave. */
  adopt(taskUid: string, range: UserNamespace): void;
  /** Idempotent. */
  release(taskUid: string): void;
}

/** `instance` decides where in the range an agent begins, so that several on one machine do not begin with the same. */
export function createIdRanges(policy: () => IdRangesPolicy, instance: string): IdRanges {
  const given = new Map<string, UserNamespace>();
  const offset = createHash('sha256').update(instance).digest().readUInt32LE(0);
  let turn = 0;

  return {
    give(taskUid) {
      const { enabled, firstHostId, idsPerTask: size } = policy();
      const known = given.get(taskUid);
      if (known || !enabled) return known;
      const count = Math.floor((lastId - firstHostId + 1) / size);
      const taken = slotsTaken(given.values(), firstHostId, size);
      for (let tried = 0; tried < count; tried++) {
        // In turn: the ids of a task that just ended are not those of the next one.
        const slot = (offset + turn++) % count;
        if (taken.has(slot)) continue;
        const hostId = firstHostId + slot * size;
        const range: UserNamespace = { uids: { hostId, size }, gids: { hostId, size } };
        given.set(taskUid, range);
        return range;
      }
      return undefined;
    },
    adopt: (taskUid, range) => void given.set(taskUid, range),
    release: (taskUid) => void given.delete(taskUid),
  };
}

/** Those that overlap with a range, also with one of an earlier policy. */
function slotsTaken(given: Iterable<UserNamespace>, firstHostId: number, size: number): Set<number> {
  const taken = new Set<number>();
  for (const { uids, gids } of given) {
    for (const { hostId, size: length } of [uids, gids]) {
      const last = Math.floor((hostId + length - 1 - firstHostId) / size);
      for (let slot = Math.max(0, Math.floor((hostId - firstHostId) / size)); slot <= last; slot++) taken.add(slot);
    }
  }
  return taken;
}
