import { describe, expect, test } from '@jest/globals';
import { decodeProtobuf } from '../../../apiserver/http/protobuf/decode.ts';

// A small writer, so that the tests do not repeat the reader's tables.
const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
const bytes = (number: number, content: Buffer | string): Buffer => {
  const data = Buffer.from(content);
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(data.length)]), data]);
};
const number = (field: number, value: number): Buffer => Buffer.from([...varint(field * 8), ...varint(value)]);
const entry = (field: number, key: string, value: string) =>
  bytes(field, Buffer.concat([bytes(1, key), bytes(2, value)]));
const body = (apiVersion: string, kind: string, raw: Buffer) =>
  Buffer.concat([Buffer.from('k8s\0'), bytes(1, Buffer.concat([bytes(1, apiVersion), bytes(2, kind)])), bytes(2, raw)]);

describe('a protobuf body', () => {
  test('becomes what the same client would send as JSON', () => {
    const metadata = Buffer.concat([bytes(1, 'x'), bytes(2, ''), number(7, 0), bytes(8, ''), entry(11, 'a', 'b')]);
    const raw = Buffer.concat([
      bytes(1, metadata),
      entry(2, 'password', 's3cret'),
      bytes(3, 'Opaque'),
      entry(4, 'k', ''),
    ]);
    expect(decodeProtobuf(body('v1', 'Secret', raw))).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'x', labels: { a: 'b' } },
      data: { password: Buffer.from('s3cret').toString('base64') },
      type: 'Opaque',
      stringData: { k: '' },
    });
  });

  test('keeps a zero that means something', () => {
    expect(decodeProtobuf(body('v1', 'DeleteOptions', number(1, 0)))).toMatchObject({ gracePeriodSeconds: 0 });
  });

  test('has times as the API writes them', () => {
    const time = Buffer.concat([number(1, 1_767_225_600), number(2, 5_000)]);
    const raw = bytes(2, Buffer.concat([bytes(1, 'me'), number(2, 15), bytes(4, time)]));
    expect(decodeProtobuf(body('coordination.k8s.io/v1', 'Lease', raw))).toMatchObject({
      spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime: '2026-01-01T00:00:00.000005Z' },
    });
  });

  test('that is cut off or nothing of the kind is 400, an unknown kind 415', () => {
    const whole = body('v1', 'ConfigMap', bytes(1, bytes(1, 'x')));
    for (const broken of [whole.subarray(0, whole.length - 2), Buffer.from('k8s\0\xff\xff'), Buffer.from('{}')]) {
      expect(() => decodeProtobuf(broken)).toThrow(expect.objectContaining({ httpStatus: 400 }));
    }
    expect(() => decodeProtobuf(body('v1', 'Pod', Buffer.alloc(0)))).toThrow(
      expect.objectContaining({ httpStatus: 415 }),
    );
  });
});
