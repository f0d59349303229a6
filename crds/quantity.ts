/**
 * Kubernetes quantities, exactly: a number with an optional decimal (k M G T P E), binary (Ki ... Ei), milli, micro or nano suffix, or an exponent.
 * All arithmetic is in integers; what is finer than a nano-unit is rounded up, as Kubernetes does.
 */

export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

/** The value in nano-units (10^-9). Throws QuantityError naming the value. */
export function parseQuantity(quantity: number | string): bigint {
  const text = typeof quantity === 'number' ? numberText(quantity) : quantity;
  const match = SYNTAX.exec(text);
  if (!match || text.length > MAX_LENGTH)
    throw new QuantityError(`${JSON.stringify(quantity)} is not a quantity: ${HINT}`);
  const [, sign, whole = '', fraction = '', suffix = ''] = match;
  if (whole === '' && fraction === '')
    throw new QuantityError(`${JSON.stringify(quantity)} is not a quantity: ${HINT}`);
  const scale = scaleOf(suffix);
  // digits * multiplier * 10^(9 + exponent - fraction.length), rounded up.
  const digits = BigInt(whole + fraction) * scale.multiplier;
  const exponent = 9 + scale.exponent - fraction.length;
  const magnitude = exponent >= 0 ? digits * 10n ** BigInt(exponent) : divideUp(digits, 10n ** BigInt(-exponent));
  return sign === '-' ? -magnitude : magnitude;
}

/** Thousandths as an integer, rounded up: the unit of cpus and all other scalars that are not bytes. */
export function parseMilli(quantity: number | string): number {
  return toInteger(divideUp(parseQuantity(quantity), 1_000_000n), quantity);
}

/** Whole bytes, rounded up. */
export function parseBytes(quantity: number | string): number {
  return toInteger(divideUp(parseQuantity(quantity), NANO), quantity);
}

/** Like parseMilli for limits, where "Infinity" means no limit. */
export function parseMilliLimit(quantity: number | string): number {
  return quantity === 'Infinity' ? Number.POSITIVE_INFINITY : parseMilli(quantity);
}

/** Like parseBytes for limits, where "Infinity" means no limit. */
export function parseBytesLimit(quantity: number | string): number {
  return quantity === 'Infinity' ? Number.POSITIVE_INFINITY : parseBytes(quantity);
}

/** 1500 -> "1500m", 2000 -> "2". */
export function formatMilli(milli: number): string {
  if (milli === Number.POSITIVE_INFINITY) return 'Infinity';
  requireInteger(milli);
  return milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`;
}

/** The largest binary suffix that keeps the value exact: 134217728 -> "128Mi", 1000 -> "1000". */
export function formatBytes(bytes: number): string {
  if (bytes === Number.POSITIVE_INFINITY) return 'Infinity';
  requireInteger(bytes);
  let rest = bytes;
  let step = 0;
  while (rest !== 0 && rest % 1024 === 0 && step < BINARY.length) {
    rest /= 1024;
    step++;
  }
  return step === 0 ? String(bytes) : `${rest}${BINARY[step - 1]}`;
}

/** -1, 0 or 1, exactly. */
export function compareQuantities(left: number | string, right: number | string): -1 | 0 | 1 {
  const difference = parseQuantity(left) - parseQuantity(right);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

const NANO = 1_000_000_000n;
const MAX_LENGTH = 128;
const BINARY = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const DECIMAL: Record<string, number> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const SYNTAX = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$/;
const HINT = 'write a number with an optional suffix, for example 500m, 2, 128Mi or 10G';

function scaleOf(suffix: string): { multiplier: bigint; exponent: number } {
  const binary = BINARY.indexOf(suffix);
  if (binary >= 0) return { multiplier: 1024n ** BigInt(binary + 1), exponent: 0 };
  const decimal = DECIMAL[suffix];
  if (decimal !== undefined) return { multiplier: 1n, exponent: decimal };
  return { multiplier: 1n, exponent: Number(suffix.slice(1)) };
}

/** JavaScript writes 1e21 and above, and below 1e-6, with an exponent that has a sign: both are quantities too. */
function numberText(value: number): string {
  if (!Number.isFinite(value)) throw new QuantityError(`${value} is not a quantity: ${HINT}`);
  return String(value);
}

function divideUp(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend % divisor > 0n ? quotient + 1n : quotient;
}

function toInteger(value: bigint, quantity: number | string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw new QuantityError(`${JSON.stringify(quantity)} is too large`);
  }
  return Number(value);
}

function requireInteger(value: number): void {
  if (!Number.isSafeInteger(value)) throw new QuantityError(`${value} is not a whole number that can be kept exactly`);
}
