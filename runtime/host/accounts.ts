/** The formats of passwd(5) and group(5), of a machine or of an image. Pure. */

export interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

export interface GroupEntry {
  name: string;
  gid: number;
  members: string[];
}

/** 2^32-1 is none: to the kernel it means "leave as it is", which would keep root. */
const NO_ID = 2 ** 32 - 1;

/** Lines that are not of the format, NIS's among them, are passed over, as libc does. */
export function parsePasswd(text: string): PasswdEntry[] {
  return fieldsOf(text).flatMap(([name, , uidText, gidText, , home]) => {
    const [uid, gid] = [idOf(uidText), idOf(gidText)];
    if (!name || uid === undefined || gid === undefined) return [];
    return [{ name, uid, gid, home: home ?? '' }];
  });
}

/** As `parsePasswd`. */
export function parseGroup(text: string): GroupEntry[] {
  return fieldsOf(text).flatMap(([name, , gidText, members]) => {
    const gid = idOf(gidText);
    if (!name || gid === undefined) return [];
    return [{ name, gid, members: (members ?? '').split(',').filter((member) => member !== '') }];
  });
}

/** The id that a text is, in a document; undefined when it is a name. Throws what `refused` makes for a number that is no id. */
export function parseId(text: string, refused: (message: string) => Error): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id >= NO_ID) throw refused(`"${text}" is no user or group id`);
  return id;
}

function idOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text) || Number(text) >= NO_ID) return undefined;
  return Number(text);
}

function fieldsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('+'))
    .map((line) => line.split(':'));
}
