/** One field of a protobuf message as it is on the wire. */
export interface WireField {
  number: number;
  /** Of varint and fixed-width fields. */
  value: bigint;
  /** Of length-delimited fields: strings, bytes, messages. */
  bytes: Buffer | undefined;
}

/** Splits a protobuf message into its fields. Throws RangeError where it is cut off or not protobuf. */
export function* readFields(message: Buffer): Generator<WireField> {
  const cursor = { at: 0 };
  while (cursor.at < message.length) {
    const tag = readVarint(message, cursor);
    const number = Number(tag >> 3n);
    switch (Number(tag & 7n)) {
      case 0:
        yield { number, value: readVarint(message, cursor), bytes: undefined };
        break;
      case 1:
        yield { number, value: take(message, cursor, 8).readBigUInt64LE(), bytes: undefined };
        break;
      case 2:
        yield { number, value: 0n, bytes: take(message, cursor, Number(readVarint(message, cursor))) };
        break;
      case 5:
        yield { number, value: BigInt(take(message, cursor, 4).readUInt32LE()), bytes: undefined };
        break;
      default:
        throw new RangeError(`unknown wire type at offset ${cursor.at}`);
    }
  }
}

function readVarint(message: Buffer, cursor: { at: number }): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = message[cursor.at];
    if (byte === undefined) break;
    cursor.at += 1;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asIntN(64, value);
  }
  throw new RangeError(`a number is cut off at offset ${cursor.at}`);
}

function take(message: Buffer, cursor: { at: number }, length: number): Buffer {
  const end = cursor.at + length;
  if (length < 0 || end > message.length) throw new RangeError(`a field is cut off at offset ${cursor.at}`);
  const bytes = message.subarray(cursor.at, end);
  cursor.at = end;
  return bytes;
}
