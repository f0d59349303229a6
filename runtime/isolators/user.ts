/** The container's user: uid, gid and supplementary groups, already resolved by the agent. */
import type { Isolator } from './isolator.ts';

export function userIsolator(): Isolator {
  return {
    name: 'user',
    contribute: ({ user }) => ({
      privileges: [{ op: 'user', uid: user.uid, gid: user.gid, groups: user.supplementalGids }],
    }),
  };
}
