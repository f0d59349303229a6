/** Users of an image, by its own /etc/passwd and /etc/group. */
import { ImageUserUnknown } from './errors.ts';
import type { ImageUser } from './images.ts';

interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

interface GroupEntry {
  name: string;
  gid: number;
  members: string[];
}

/** Files of sane size; a hostile image must not fill the agent's memory. */
export const MOST_USER_FILE_BYTES = 4 * 2 ** 20;

/**
 * Pure. "" is user 0. A number needs no entry: its group is then 0, as with Docker and containerd, and its home "/". A group that is given takes the place of the
 * user's own and of the supplementary ones. Throws ImageUserUnknown.
 */
export function selectImageUser(text: string, passwd: string, group: string): ImageUser {
  const [userText = '', groupText] = text.split(':', 2);
  const users = parsePasswd(passwd);
  const groups = parseGroup(group);
  const id = parseId(userText === '' ? '0' : userText);
  const entry = users.find((user) => (id === undefined ? user.name === userText : user.uid === id));
  if (entry === undefined && id === undefined)
    throw new ImageUserUnknown(`user "${userText}" does not exist in the image's /etc/passwd`);
  const uid = entry?.uid ?? id!;
  const hasGroup = groupText !== undefined && groupText !== '';
  const gid = hasGroup ? groupId(groupText, groups) : (entry?.gid ?? 0);
  const supplementalGids = hasGroup
    ? []
    : groups.filter(({ members }) => entry !== undefined && members.includes(entry.name)).map((member) => member.gid);
  return {
    uid,
    gid,
    supplementalGids: [...new Set(supplementalGids)].filter((other) => other !== gid),
    name: entry?.name ?? String(uid),
    home: entry?.home.startsWith('/') ? entry.home : '/',
  };
}

function groupId(text: string, groups: GroupEntry[]): number {
  const id = parseId(text) ?? groups.find(({ name }) => name === text)?.gid;
  if (id === undefined) throw new ImageUserUnknown(`group "${text}" does not exist in the image's /etc/group`);
  return id;
}

/** 2^32-1 is none: to the kernel it means "leave as it is", which would keep root. */
function parseId(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id >= 2 ** 32 - 1) throw new ImageUserUnknown(`"${text}" is no user or group id`);
  return id;
}

/** Lines that are not of the format are passed over, as libc does. */
function parsePasswd(text: string): PasswdEntry[] {
  return fieldsOf(text).flatMap(([name, , uid, gid, , home]) => {
    const ids = [validId(uid), validId(gid)];
    if (!name || ids[0] === undefined || ids[1] === undefined) return [];
    return [{ name, uid: ids[0], gid: ids[1], home: home ?? '' }];
  });
}

function parseGroup(text: string): GroupEntry[] {
  return fieldsOf(text).flatMap(([name, , gidText, members]) => {
    const gid = validId(gidText);
    if (!name || gid === undefined) return [];
    return [{ name, gid, members: (members ?? '').split(',').filter((member) => member !== '') }];
  });
}

function validId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text) || Number(text) >= 2 ** 32 - 1) return undefined;
  return Number(text);
}

function fieldsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}
