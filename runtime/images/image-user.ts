/** Users of an image, by its own /etc/passwd and /etc/group. */
import { type GroupEntry, parseGroup, parseId, parsePasswd } from '../host/accounts.ts';
import { ImageUserUnknown } from './errors.ts';
import type { ImageUser } from './images.ts';

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
  const id = parseId(userText === '' ? '0' : userText, unknown);
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
  const id = parseId(text, unknown) ?? groups.find(({ name }) => name === text)?.gid;
  if (id === undefined) throw new ImageUserUnknown(`group "${text}" does not exist in the image's /etc/group`);
  return id;
}

const unknown = (message: string) => new ImageUserUnknown(message);
