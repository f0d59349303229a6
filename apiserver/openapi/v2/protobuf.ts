/** As much of the protocol buffer wire format as the OpenAPI v2 document needs: texts and nested messages. */
export type Field = Buffer;

/** A text (wire type 2). */
export function text(number: number, value: string): Field {
  return bytes(number, Buffer.from(value));
}

/** A nested message (wire type 2) of its fields. */
export function message(number: number, fields: readonly Field[]): Field {
  return bytes(number, Buffer.concat(fields));
}

function bytes(number: number, value: Buffer): Field {
  return Buffer.concat([varint((number << 3) | 2), varint(value.length), value]);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) out.push((rest & 0x7f) | 0x80);
  out.push(rest);
  return Buffer.from(out);
}
