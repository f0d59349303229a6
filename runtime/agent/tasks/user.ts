/** Users of the host by name or number, from passwd and group files: the agent must not depend on NSS plug-ins that a container lacks. */
import { readFileSync, statSync } from 'node:fs';
import type { LaunchSpec } from '../../containerizers/containerizer.ts';
import { type GroupEntry, type PasswdEntry, parseGroup, parseId, parsePasswd } from '../../host/accounts.ts';

export type ResolvedUser = LaunchSpec['user'];

/** The user does not exist on this machine. */
export class UserUnknown extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UserUnknown';
  }
}

/** Accepts "name", "uid", "uid:gid" and "name:group". A number needs no passwd entry; its group is then the same number. */
export function resolveUser(text: string, files = { passwd: '/etc/passwd', group: '/etc/group' }): ResolvedUser {
  return selectUser(text, readCached(files.passwd, parsePasswd), readCached(files.group, parseGroup));
}

const cache = new Map<string, { version: string; entries: unknown }>();

/** Parsed again only when the file was replaced or written: it is looked at for every launch. */
function readCached<T>(path: string, parse: (text: string) => T[]): T[] {
  const { ino, mtimeMs, size } = statSync(path);
  const version = `${ino}/${mtimeMs}/${size}`;
  const cached = cache.get(path);
  if (cached?.version === version) return cached.entries as T[];
  const entries = parse(readFileSync(path, 'utf8'));
  cache.set(path, { version, entries });
  return entries;
}

function selectUser(text: string, users: PasswdEntry[], groups: GroupEntry[]): ResolvedUser {
  const [userText = '', groupText] = text.split(':', 2);
  const wantedId = parseId(userText, unknown);
  const entry = users.find((user) => (wantedId === undefined ? user.name === userText : user.uid === wantedId));
  if (entry === undefined && wantedId === undefined)
    throw new UserUnknown(`user "${userText}" does not exist on this machine`);
  const uid = entry?.uid ?? wantedId!;
  const gid = groupText === undefined ? (entry?.gid ?? uid) : groupId(groupText, groups);
  const supplementalGids = groups
    .filter((group) => entry !== undefined && group.members.includes(entry.name))
    .map((group) => group.gid);
  return {
    uid,
    gid,
    // A group that was asked for replaces the user's own groups, as `docker run --user` does.
    supplementalGids: groupText === undefined ? [...new Set(supplementalGids)].filter((id) => id !== gid) : [],
    name: entry?.name ?? String(uid),
    home: entry?.home || '/',
  };
}

function groupId(text: string, groups: GroupEntry[]): number {
  const id = parseId(text, unknown) ?? groups.find((group) => group.name === text)?.gid;
  if (id === undefined) throw new UserUnknown(`group "${text}" does not exist on this machine`);
  return id;
}

const unknown = (message: string) => new UserUnknown(message);
