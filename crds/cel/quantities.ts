/** Kubernetes' quantity functions: quantity(), isQuantity() and the methods of a quantity. */
import type { Environment } from '@marcbachmann/cel-js';
import { parseQuantity } from '../quantity.ts';

export function registerQuantities(environment: Environment): void {
  environment
    .registerType('kubernetes.Quantity', CelQuantity)
    .registerFunction('quantity(string): kubernetes.Quantity', (text: string) => new CelQuantity(parse(text)))
    .registerFunction('isQuantity(string): bool', (text: string) => isQuantity(text));
  const method = (signature: string, handler: (...args: never[]) => unknown) =>
    environment.registerFunction(`kubernetes.Quantity.${signature}`, handler as (...args: unknown[]) => unknown);
  method('sign(): int', (self: CelQuantity) => (self.nano < 0n ? -1n : self.nano > 0n ? 1n : 0n));
  method('isInteger(): bool', (self: CelQuantity) => self.nano % NANO === 0n);
  method('asInteger(): int', (self: CelQuantity) => {
    if (self.nano % NANO !== 0n) throw new Error('cannot convert value to integer');
    return self.nano / NANO;
  });
  method('asApproximateFloat(): double', (self: CelQuantity) => Number(self.nano) / 1e9);
  method('isGreaterThan(kubernetes.Quantity): bool', (self: CelQuantity, other: CelQuantity) => self.nano > other.nano);
  method('isLessThan(kubernetes.Quantity): bool', (self: CelQuantity, other: CelQuantity) => self.nano < other.nano);
  method('compareTo(kubernetes.Quantity): int', (self: CelQuantity, other: CelQuantity) =>
    compare(self.nano, other.nano),
  );
  method(
    'add(kubernetes.Quantity): kubernetes.Quantity',
    (self: CelQuantity, other: CelQuantity) => new CelQuantity(self.nano + other.nano),
  );
  method(
    'add(int): kubernetes.Quantity',
    (self: CelQuantity, other: bigint) => new CelQuantity(self.nano + other * NANO),
  );
  method(
    'sub(kubernetes.Quantity): kubernetes.Quantity',
    (self: CelQuantity, other: CelQuantity) => new CelQuantity(self.nano - other.nano),
  );
  method(
    'sub(int): kubernetes.Quantity',
    (self: CelQuantity, other: bigint) => new CelQuantity(self.nano - other * NANO),
  );
  environment.registerOperator(
    'kubernetes.Quantity == kubernetes.Quantity',
    (a: CelQuantity, b: CelQuantity) => a.nano === b.nano,
  );
}

class CelQuantity {
  readonly nano: bigint;
  constructor(nano: bigint) {
    this.nano = nano;
  }
}

const NANO = 1_000_000_000n;

/** With the genuine server's words. */
function parse(text: string): bigint {
  try {
    return parseQuantity(text);
  } catch {
    throw new Error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  }
}

function isQuantity(text: string): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch {
    return false;
  }
}

function compare(left: bigint, right: bigint): bigint {
  return left < right ? -1n : left > right ? 1n : 0n;
}
