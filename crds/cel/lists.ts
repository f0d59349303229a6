/** Kubernetes' list functions, and the sets library. */
import type { Environment } from '@marcbachmann/cel-js';

export function registerLists(environment: Environment): void {
  environment
    .registerFunction('list.isSorted(): bool', (list: Ordered[]) =>
      list.every((item, index) => index === 0 || list[index - 1]! <= item),
    )
    .registerFunction('list.sum(): dyn', sum)
    .registerFunction('list.min(): dyn', (list: Ordered[]) => extreme(list, 'min'))
    .registerFunction('list.max(): dyn', (list: Ordered[]) => extreme(list, 'max'))
    .registerFunction('list.indexOf(dyn): int', (list: unknown[], item: unknown) =>
      BigInt(list.findIndex((other) => same(other, item))),
    )
    .registerFunction('list.lastIndexOf(dyn): int', (list: unknown[], item: unknown) =>
      BigInt(list.findLastIndex((other) => same(other, item))),
    );
  class Sets {}
  environment
    .registerType('SetsNamespace', Sets)
    .registerConstant('sets', 'SetsNamespace', new Sets())
    .registerFunction('SetsNamespace.contains(list, list): bool', (_: Sets, list: unknown[], part: unknown[]) =>
      containsAll(list, part),
    )
    .registerFunction(
      'SetsNamespace.equivalent(list, list): bool',
      (_: Sets, a: unknown[], b: unknown[]) => containsAll(a, b) && containsAll(b, a),
    )
    .registerFunction('SetsNamespace.intersects(list, list): bool', (_: Sets, a: unknown[], b: unknown[]) =>
      b.some((item) => a.some((other) => same(item, other))),
    );
}

type Ordered = bigint | number | string | Date;

function sum(list: (bigint | number)[]): bigint | number {
  if (list.length === 0) return 0n;
  return list.every((item) => typeof item === 'bigint')
    ? (list as bigint[]).reduce((total, item) => total + item, 0n)
    : list.reduce<number>((total, item) => total + Number(item), 0);
}

function extreme(list: Ordered[], which: 'min' | 'max'): Ordered {
  if (list.length === 0) throw new Error(`${which} called on empty list`);
  return list.reduce((best, item) => ((which === 'min' ? item < best : item > best) ? item : best));
}

function containsAll(list: unknown[], part: unknown[]): boolean {
  return part.every((item) => list.some((other) => same(item, other)));
}

function same(left: unknown, right: unknown): boolean {
  if (typeof left !== 'object' || left === null) return left === right;
  const text = (value: unknown) =>
    JSON.stringify(value, (_key, inner) => (typeof inner === 'bigint' ? `${inner}n` : inner));
  return text(left) === text(right);
}
