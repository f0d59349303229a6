import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  compareQuantities,
  formatBytes,
  formatMilli,
  parseBytes,
  parseBytesLimit,
  parseMilli,
  parseMilliLimit,
  parseQuantity,
  QuantityError,
} from '../../crds/quantity.ts';

describe('quantities', () => {
  test.each([
    ['500m', 500],
    ['0.5', 500],
    [2, 2000],
    ['2', 2000],
    ['.25', 250],
    ['1k', 1_000_000],
    ['1e3', 1_000_000],
    ['1500m', 1500],
    ['0.0001', 1],
    [0.1, 100],
    ['1n', 1],
    [0, 0],
  ])('%p is %p thousandths', (text, milli) => expect(parseMilli(text)).toBe(milli));

  test.each([
    ['128Mi', 134_217_728],
    ['1Gi', 1_073_741_824],
    ['1G', 1_000_000_000],
    ['0.5Gi', 536_870_912],
    [1024, 1024],
    ['1.5Ki', 1536],
    ['100m', 1],
    ['1e3', 1000],
    ['12E2', 1200],
    ['2Ti', 2_199_023_255_552],
  ])('%p is %p bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  test.each([
    '',
    ' ',
    'x',
    '12 MB',
    '1.2.3',
    '1KB',
    'Mi',
    '.',
    '1e',
    'Infinity',
    'NaN',
    '0x10',
    '1_000',
    '--1',
    '1e999',
  ])('%p is refused, and named in the error', (text) => {
    expect(() => parseQuantity(text)).toThrow(QuantityError);
    expect(() => parseQuantity(text)).toThrow(JSON.stringify(text));
  });

  test('numbers that are not finite are refused', () => {
    expect(() => parseQuantity(Number.NaN)).toThrow(QuantityError);
    expect(() => parseQuantity(Number.POSITIVE_INFINITY)).toThrow(QuantityError);
  });

  test('what a number cannot keep exactly is refused', () => {
    expect(() => parseBytes('16Ei')).toThrow('"16Ei" is too large');
    expect(() => formatMilli(0.5)).toThrow(QuantityError);
  });

  test('limits may be infinite', () => {
    expect(parseMilliLimit('Infinity')).toBe(Number.POSITIVE_INFINITY);
    expect(parseBytesLimit('Infinity')).toBe(Number.POSITIVE_INFINITY);
    expect(formatBytes(Number.POSITIVE_INFINITY)).toBe('Infinity');
  });

  test('formatted thousandths read back as the same', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (milli) => parseMilli(formatMilli(milli)) === milli));
  });

  test('formatted bytes read back as the same', () => {
    const bytes = fc.oneof(
      fc.maxSafeNat(),
      fc.tuple(fc.nat(8000), fc.nat(4)).map(([count, power]) => count * 1024 ** power),
    );
    fc.assert(fc.property(bytes, (value) => parseBytes(formatBytes(value)) === value));
  });

  test('sums of thousandths are exact where floating point is not', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(10_000_000), { maxLength: 50 }), (parts) => {
        const total = parts.reduce((sum, milli) => sum + parseMilli((milli / 1000).toFixed(3)), 0);
        return total === parts.reduce((sum, milli) => sum + milli, 0);
      }),
    );
  });

  test('the order of quantities is that of their values', () => {
    const quantity = fc.tuple(fc.nat(100_000), fc.constantFrom('', 'm', 'k', 'Ki', 'M', 'Mi', 'G', 'Gi'));
    const scale: Record<string, number> = {
      '': 1000,
      m: 1,
      k: 1e6,
      Ki: 1024e3,
      M: 1e9,
      Mi: 1024 ** 2 * 1000,
      G: 1e12,
      Gi: 1024 ** 3 * 1000,
    };
    fc.assert(
      fc.property(quantity, quantity, ([a, unitA], [b, unitB]) => {
        const difference = BigInt(a) * BigInt(scale[unitA]!) - BigInt(b) * BigInt(scale[unitB]!);
        expect(compareQuantities(a + unitA, b + unitB)).toBe(difference < 0n ? -1 : difference > 0n ? 1 : 0);
      }),
    );
  });
});
