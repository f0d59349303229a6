/** Kubernetes' string and regular-expression functions that the CEL library does not bring. */
import type { Environment } from '@marcbachmann/cel-js';
import { toRegExp } from '../structural/pattern.ts';

export function registerStrings(environment: Environment): void {
  environment
    .registerFunction('string.charAt(int): string', (text: string, index: bigint) => charAt(text, Number(index)))
    .registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
      text.replaceAll(from, () => to),
    )
    .registerFunction('string.replace(string, string, int): string', replaceTimes)
    .registerFunction('string.reverse(): string', (text: string) => [...text].reverse().join(''))
    .registerFunction('string.format(list): string', (text: string, values: unknown[]) => format(text, values))
    .registerFunction(
      'string.find(string): string',
      (text: string, pattern: string) => toRegExp(pattern).exec(text)?.[0] ?? '',
    )
    .registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) =>
      findAll(text, pattern, -1),
    )
    .registerFunction('string.findAll(string, int): list<string>', (text: string, pattern: string, limit: bigint) =>
      findAll(text, pattern, Number(limit)),
    )
    .registerFunction('string(google.protobuf.Timestamp): string', (time: Date) =>
      time.toISOString().replace(/\.000Z$/, 'Z'),
    )
    .registerFunction(
      'string(google.protobuf.Duration): string',
      (duration: { seconds: bigint; nanos: number }) => `${Number(duration.seconds) + duration.nanos / 1e9}s`,
    );
}

function charAt(text: string, index: number): string {
  const characters = [...text];
  if (index < 0 || index > characters.length) throw new Error(`index out of range: ${index}`);
  return characters[index] ?? '';
}

function replaceTimes(text: string, from: string, to: string, times: bigint): string {
  if (times < 0n) return text.replaceAll(from, () => to);
  let result = text;
  let start = 0;
  for (let done = 0n; done < times; done++) {
    const at = result.indexOf(from, start);
    if (at < 0) break;
    result = result.slice(0, at) + to + result.slice(at + from.length);
    start = at + to.length + (from === '' ? 1 : 0);
    if (start > result.length) break;
  }
  return result;
}

function findAll(text: string, pattern: string, limit: number): string[] {
  const expression = toRegExp(pattern);
  const all = [...text.matchAll(new RegExp(expression.source, `${expression.flags}g`))].map((match) => match[0]);
  return limit < 0 ? all : all.slice(0, limit);
}

/** %s %d %f %e %b %o %x %X with an optional precision, as in CEL's strings extension. */
function format(text: string, values: unknown[]): string {
  let next = 0;
  return text.replace(
    /%(?:(%)|(?:\.(\d+))?([sdfeboxX]))/g,
    (_whole, percent: string | undefined, precision: string | undefined, verb: string) => {
      if (percent) return '%';
      if (next >= values.length) throw new Error('format() was given too few values');
      const value = values[next++];
      const digits = precision === undefined ? 6 : Number(precision);
      switch (verb) {
        case 'f':
          return Number(value).toFixed(digits);
        case 'e':
          return Number(value).toExponential(digits);
        case 'b':
          return BigInt(value as bigint).toString(2);
        case 'o':
          return BigInt(value as bigint).toString(8);
        case 'x':
        case 'X': {
          const hex =
            typeof value === 'string' ? Buffer.from(value).toString('hex') : BigInt(value as bigint).toString(16);
          return verb === 'X' ? hex.toUpperCase() : hex;
        }
        default:
          return print(value);
      }
    },
  );
}

function print(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(print).join(', ')}]`;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, inner]) => `${key}: ${print(inner)}`)
      .join(', ')}}`;
  }
  return String(value);
}
