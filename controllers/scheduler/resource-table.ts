/**
 * Resource amounts as integers. Each resource name has a number, so that what an agent has and what a task asks for are plain arrays:
 * sums and comparisons are exact and cheap.
 */
import { parseBytes, parseMilli, parseQuantity } from '../../crds/quantity.ts';
import type { ResourceQuantities } from '../../crds/types.generated.ts';

export const CPUS = 0;
export const MEM = 1;
export const DISK = 2;
export const GPUS = 3;

/** Amounts by resource number; a hole means none. mem and disk are in bytes, all other resources in thousandths. */
export type Amounts = number[];

/** Resource names and their numbers; names of the user's own are added as they are met. */
export interface ResourceTable {
  readonly names: string[];
  readonly numbers: Map<string, number>;
}

export function createResourceTable(): ResourceTable {
  const names = ['cpus', 'mem', 'disk', 'gpus'];
  return { names, numbers: new Map(names.map((name, number) => [name, number])) };
}

/** What is asked for: rounded up, so that it is never less than was written. */
export function requestedAmounts(table: ResourceTable, quantities: ResourceQuantities | undefined): Amounts {
  return toAmounts(table, quantities, (text, bytes) => (bytes ? parseBytes(text) : parseMilli(text)));
}

/** What is offered: rounded down, so that it is never more than there is. */
export function offeredAmounts(table: ResourceTable, quantities: ResourceQuantities | undefined): Amounts {
  return toAmounts(table, quantities, (text, bytes) => Number(parseQuantity(text) / (bytes ? NANO : NANO / 1000n)));
}

export function resourceNumber(table: ResourceTable, name: string): number {
  const known = table.numbers.get(name);
  if (known !== undefined) return known;
  const number = table.names.length;
  table.names.push(name);
  table.numbers.set(name, number);
  return number;
}

/** `amount` in the spelling of documents: "4Gi", "1.5Gi", "0.5". For messages: at most two decimals, rounded down. */
export function formatAmount(number: number, amount: number): string {
  if (number !== MEM && number !== DISK) return trimDecimals(amount / 1000, 3);
  for (const [suffix, unit] of BINARY_UNITS)
    if (Math.abs(amount) >= unit) return trimDecimals(amount / unit, 2) + suffix;
  return `${amount}`;
}

const NANO = 1_000_000_000n;

const BINARY_UNITS: [string, number][] = [
  ['Ti', 2 ** 40],
  ['Gi', 2 ** 30],
  ['Mi', 2 ** 20],
  ['Ki', 2 ** 10],
];

function trimDecimals(value: number, decimals: number): string {
  const scale = 10 ** decimals;
  return String(Math.trunc(value * scale) / scale);
}

function toAmounts(
  table: ResourceTable,
  quantities: ResourceQuantities | undefined,
  read: (text: string | number, bytes: boolean) => number,
): Amounts {
  const amounts: Amounts = [];
  for (const [name, quantity] of Object.entries(quantities ?? {})) {
    if (name === 'ports') continue;
    if (name === 'custom') {
      for (const [own, amount] of Object.entries(quantity as Record<string, string | number>)) {
        amounts[resourceNumber(table, own)] = readSafely(amount, false, read);
      }
    } else {
      const number = resourceNumber(table, name);
      amounts[number] = readSafely(quantity as string | number, number === MEM || number === DISK, read);
    }
  }
  return amounts;
}

/** The schema refuses what is no quantity; a document that came in before a rule must still not stop the scheduler. */
function readSafely(
  quantity: string | number,
  bytes: boolean,
  read: (text: string | number, bytes: boolean) => number,
): number {
  try {
    return Math.max(0, read(quantity, bytes));
  } catch {
    return 0;
  }
}
