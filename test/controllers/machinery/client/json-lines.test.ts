import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { JsonLines } from '../../../../controllers/machinery/client/json-lines.ts';

test('a chunk may end anywhere, also inside a UTF-8 sequence', () => {
  const document = fc.record({ text: fc.string({ unit: 'grapheme' }), number: fc.integer() });
  fc.assert(
    fc.property(fc.array(document, { maxLength: 5 }), fc.array(fc.nat(400), { maxLength: 12 }), (documents, cuts) => {
      const bytes = Buffer.from(documents.map((value) => `${JSON.stringify(value)}\n`).join(''));
      const positions = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      const lines = new JsonLines();
      const read = positions.slice(1).flatMap((end, index) => lines.push(bytes.subarray(positions[index], end)));
      expect(read).toEqual(documents);
      expect(lines.pendingBytes).toBe(0);
    }),
  );
});

test('a line of many megabytes in small chunks is read in linear time', () => {
  const document = { data: 'x'.repeat(16 * 2 ** 20) };
  const bytes = Buffer.from(`${JSON.stringify(document)}\n`);
  const lines = new JsonLines();
  const read: unknown[] = [];
  const start = performance.now();
  for (let offset = 0; offset < bytes.length; offset += 16_384)
    read.push(...lines.push(bytes.subarray(offset, offset + 16_384)));
  expect(read).toEqual([document]);
  expect(performance.now() - start).toBeLessThan(5_000);
});

test('empty lines and carriage returns are passed over', () => {
  expect(new JsonLines().push(Buffer.from('\n{"a":1}\r\n\n{"b":2}\n'))).toEqual([{ a: 1 }, { b: 2 }]);
});

test('a line that is not JSON is an error', () => {
  expect(() => new JsonLines().push(Buffer.from('{"a":\n'))).toThrow(SyntaxError);
});

test('what has no newline yet is kept', () => {
  const lines = new JsonLines();
  expect(lines.push(Buffer.from('{"a"'))).toEqual([]);
  expect(lines.pendingBytes).toBe(4);
  expect(lines.push(Buffer.from(':1}\n'))).toEqual([{ a: 1 }]);
});
