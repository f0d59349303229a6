/** The ids that a user may have in his user namespace: his own as root, and those that /etc/subuid and /etc/subgid give him from 1 on. */
import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';

export interface IdMaps {
  /** `INSIDE:OUTSIDE:COUNT`, with commas, as the launcher's role takes them. */
  uids: string;
  gids: string;
  /** The setuid programs that may write them; absent: only the own ids, which needs none. */
  programs?: { newuidmap: string; newgidmap: string };
}

export interface User {
  uid: number;
  gid: number;
  name: string;
}

export interface IdSources {
  subuid: string;
  subgid: string;
  /** Never those of PATH: what is executed here has privileges. */
  directories: string[];
}

const sources: IdSources = {
  subuid: '/etc/subuid',
  subgid: '/etc/subgid',
  directories: ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin', '/run/wrappers/bin'],
};
/** The launcher takes 64; the kernel 340. */
const mostRanges = 32;

/** With subordinate ids where both files name the user and both programs are there, else the user's own ids alone. */
export function readIdMaps(user: User, { subuid, subgid, directories }: IdSources = sources): IdMaps {
  const uids = rangesOf(user, read(subuid));
  const gids = rangesOf(user, read(subgid));
  const newuidmap = findProgram('newuidmap', directories);
  const newgidmap = findProgram('newgidmap', directories);
  if (uids.length === 0 || gids.length === 0 || !newuidmap || !newgidmap)
    return { uids: `0:${user.uid}:1`, gids: `0:${user.gid}:1` };
  return { uids: mapOf(user.uid, uids), gids: mapOf(user.gid, gids), programs: { newuidmap, newgidmap } };
}

interface Range {
  first: number;
  count: number;
}

/** subuid(5): `name-or-uid:first:count`. Pure. */
export function rangesOf({ uid, name }: Pick<User, 'uid' | 'name'>, text: string): Range[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter(([owner, ...numbers]) => (owner === name || owner === String(uid)) && numbers.length === 2)
    .map(([, first, count]) => ({ first: Number(first), count: Number(count) }))
    .filter(({ first, count }) => Number.isInteger(first) && first > 0 && Number.isInteger(count) && count > 0)
    .slice(0, mostRanges);
}

function mapOf(own: number, ranges: readonly Range[]): string {
  const parts = [`0:${own}:1`];
  let inside = 1;
  for (const { first, count } of ranges) {
    parts.push(`${inside}:${first}:${count}`);
    inside += count;
  }
  return parts.join(',');
}

/** By its real path, and only one that root alone may change. */
function findProgram(name: string, directories: readonly string[]): string | undefined {
  for (const directory of directories) {
    try {
      const path = realpathSync(`${directory}/${name}`);
      accessSync(path, constants.X_OK);
      const { uid, mode } = statSync(path);
      if (uid === 0 && (mode & 0o022) === 0) return path;
    } catch {
      // The next one.
    }
  }
  return undefined;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
