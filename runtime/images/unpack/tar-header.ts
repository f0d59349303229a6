/**
 * The fields of one tar header (POSIX ustar and pax, GNU, V7). Names are bytes: they are kept as latin1 strings, one character per byte,
 * and never decoded.
 */

/** The stream is no tar, or a kind of it that is not read. */
export class TarInvalid extends Error {
  override name = 'TarInvalid';
}

export interface TarHeader {
  type: string;
  path: string;
  link: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtimeSeconds: number;
  mtimeNanoseconds: number;
}

/** Attributes of pax headers, values as bytes in latin1. */
export type PaxAttributes = Map<string, string>;

export const BLOCK = 512;
const BLANK = Buffer.alloc(BLOCK);
/** What a 64-bit file size and a JavaScript number both can hold. */
const MOST = Number.MAX_SAFE_INTEGER;

export function isBlank(block: Buffer): boolean {
  return block.equals(BLANK);
}

/** Throws TarInvalid. `block` has 512 bytes. */
export function parseHeader(block: Buffer): TarHeader {
  verifyChecksum(block);
  const type = String.fromCharCode(block[156]!);
  // In GNU's format the prefix's place holds other things.
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isPosix ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  return {
    type: type === '\0' ? '0' : type,
    path: prefix === '' ? name : `${prefix}/${name}`,
    link: text(block, 157, 100),
    mode: number(block, 100, 8, 'mode') & 0o7777,
    uid: number(block, 108, 8, 'uid'),
    gid: number(block, 116, 8, 'gid'),
    size: size(block, 124, 12, 'size'),
    mtimeSeconds: number(block, 136, 12, 'mtime'),
    mtimeNanoseconds: 0,
  };
}

/** What pax says takes the place of what the header says. Throws TarInvalid. */
export function applyPax(header: TarHeader, pax: PaxAttributes): void {
  for (const [key, value] of pax) {
    // An empty value undoes a global attribute.
    if (value === '') continue;
    if (key === 'path') header.path = value;
    else if (key === 'linkpath') header.link = value;
    else if (key === 'size') header.size = decimal(value, key);
    else if (key === 'uid') header.uid = decimal(value, key);
    else if (key === 'gid') header.gid = decimal(value, key);
    else if (key === 'mtime') [header.mtimeSeconds, header.mtimeNanoseconds] = time(value);
  }
  if (pax.get('GNU.sparse.name')) header.path = pax.get('GNU.sparse.name') as string;
}

/** `LENGTH KEY=VALUE\n` records. Repeated keys of GNU's first sparse format are joined into one map. Throws TarInvalid. */
export function parsePax(bytes: Buffer): PaxAttributes {
  const attributes: PaxAttributes = new Map();
  const map: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    if (space < 0 || space - at > 10) throw new TarInvalid('a pax header has a record without a length');
    const length = decimal(bytes.toString('latin1', at, space), 'length of a pax record');
    const end = at + length;
    if (length < space - at + 3 || end > bytes.length || bytes[end - 1] !== 0x0a)
      throw new TarInvalid('a pax header has a record of a wrong length');
    const equals = bytes.indexOf(0x3d, space);
    if (equals < 0 || equals >= end) throw new TarInvalid('a pax header has a record without a key');
    const key = bytes.toString('latin1', space + 1, equals);
    const value = bytes.toString('latin1', equals + 1, end - 1);
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') map.push(value);
    else attributes.set(key, value);
    at = end;
  }
  if (map.length > 0) attributes.set('GNU.sparse.map', map.join(','));
  return attributes;
}

/** Decimal digits only. */
export function decimal(value: string, what: string): number {
  const result = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!(result <= MOST)) throw new TarInvalid(`"${printable(value)}" is no ${what}`);
  return result;
}

/** A number that may not be negative. */
export function size(block: Buffer, offset: number, length: number, what: string): number {
  const value = number(block, offset, length, what);
  if (value < 0) throw new TarInvalid(`a negative ${what}`);
  return value;
}

/** For messages: whatever the name is, the message is one line of text. */
export function printable(name: string): string {
  return name.slice(0, 200).replace(/[^ -~]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function text(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString('latin1', offset, end < 0 ? offset + length : Math.min(end, offset + length));
}

/** Octal digits, or (GNU) a big-endian number of two's complement whose first bit is set. */
function number(block: Buffer, offset: number, length: number, what: string): number {
  const first = block[offset]!;
  if (first & 0x80) return binary(block, offset, length, what);
  const digits = text(block, offset, length).trim();
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw new TarInvalid(`"${printable(digits)}" is no ${what}`);
  return Number.parseInt(digits, 8);
}

function binary(block: Buffer, offset: number, length: number, what: string): number {
  let value = 0n;
  for (let at = offset; at < offset + length; at++) value = (value << 8n) | BigInt(block[at]!);
  // The topmost bit only says that the number is binary; the next one is the sign.
  const result = Number(BigInt.asIntN(length * 8 - 1, value));
  if (!Number.isSafeInteger(result)) throw new TarInvalid(`${what} is too large`);
  return result;
}

function time(value: string): [number, number] {
  const parts = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value);
  if (!parts) throw new TarInvalid(`"${printable(value)}" is no time`);
  const seconds = Number(parts[2]);
  const nanoseconds = Number((parts[3] ?? '').padEnd(9, '0').slice(0, 9));
  if (parts[1] === '') return [seconds, nanoseconds];
  return nanoseconds === 0 ? [-seconds, 0] : [-seconds - 1, 1_000_000_000 - nanoseconds];
}

function verifyChecksum(block: Buffer): void {
  const digits = text(block, 148, 8).trim();
  const expected = /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let at = 0; at < BLOCK; at++) {
    if (at === 148) at = 156;
    const byte = block[at]!;
    unsigned += byte;
    // Some old programs summed signed characters.
    signed += byte > 127 ? byte - 256 : byte;
  }
  if (expected !== unsigned && expected !== signed)
    throw new TarInvalid('a header has a wrong checksum: this is no tar');
}
