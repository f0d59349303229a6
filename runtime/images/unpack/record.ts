/** Records for the launcher's `unpack` role (src/unpack.c has the other side). */

/** Must match `enum record_type`. */
export const RECORD_TYPES = {
  end: 0,
  directory: 1,
  file: 2,
  sparse: 3,
  symlink: 4,
  hardLink: 5,
  fifo: 6,
  whiteout: 7,
  opaque: 8,
  time: 9,
} as const;

export interface UnpackRecord {
  type: keyof typeof RECORD_TYPES;
  /** Bytes as latin1, relative to the layer's root, "" for the root itself. */
  path: string;
  link?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  seconds?: number;
  nanoseconds?: number;
  /** Of files: the data must follow, `size` bytes or those of the extents. */
  size?: number;
  /** Names and values, bytes as latin1. */
  xattrs?: [string, string][];
  extents?: { offset: number; length: number }[];
}

const HEADER = 56;
const NONE: never[] = [];

/** Pure. Little-endian numbers, then path, link, extended attributes, extents. */
export function encodeRecord(record: UnpackRecord): Buffer {
  const {
    path,
    link = '',
    xattrs = NONE as [string, string][],
    extents = NONE as { offset: number; length: number }[],
  } = record;
  const xattrsLength = xattrs.reduce((sum, [name, value]) => sum + 8 + name.length + value.length, 0);
  const buffer = Buffer.allocUnsafe(HEADER + path.length + link.length + xattrsLength + extents.length * 16);
  buffer.writeUInt32LE(RECORD_TYPES[record.type], 0);
  buffer.writeUInt32LE(record.mode ?? 0, 4);
  buffer.writeUInt32LE(record.uid ?? 0, 8);
  buffer.writeUInt32LE(record.gid ?? 0, 12);
  buffer.writeUInt32LE(record.nanoseconds ?? 0, 16);
  buffer.writeUInt32LE(path.length, 20);
  buffer.writeUInt32LE(link.length, 24);
  buffer.writeUInt32LE(xattrsLength, 28);
  buffer.writeBigInt64LE(BigInt(record.seconds ?? 0), 32);
  buffer.writeBigUInt64LE(BigInt(record.size ?? 0), 40);
  buffer.writeUInt32LE(extents.length, 48);
  buffer.writeUInt32LE(0, 52);
  let at = HEADER;
  at += buffer.write(path, at, 'latin1');
  at += buffer.write(link, at, 'latin1');
  for (const [name, value] of xattrs) {
    buffer.writeUInt32LE(name.length, at);
    buffer.writeUInt32LE(value.length, at + 4);
    at += 8;
    at += buffer.write(name, at, 'latin1');
    at += buffer.write(value, at, 'latin1');
  }
  for (const { offset, length } of extents) {
    buffer.writeBigUInt64LE(BigInt(offset), at);
    buffer.writeBigUInt64LE(BigInt(length), at + 8);
    at += 16;
  }
  return buffer;
}
