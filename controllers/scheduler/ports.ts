/** The host ports of one agent: which the scheduler may hand out, and which are taken. A port is a number and a protocol. */

export type Protocol = 'TCP' | 'UDP';

export interface PortLedger {
  /** Inclusive ranges that ports are allocated from. A port that a document names itself need not be in them. */
  ranges: [number, number][];
  /** Users per port key; more than one only if documents bound by somebody else overlap. */
  users: Map<number, number>;
  /** Where the next search starts: a port that was just freed is taken again last, so late clients of it meet nobody else. */
  cursor: number;
}

export function createPortLedger(): PortLedger {
  return { ranges: [], users: new Map(), cursor: 0 };
}

/** "31000-31999,80" as ranges; parts that make no sense are left out (the schema refuses them). */
export function parsePortRanges(text: string | undefined): [number, number][] {
  const ranges: [number, number][] = [];
  for (const part of (text ?? '').split(',')) {
    const match = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part);
    if (!match) continue;
    const begin = Math.max(1, Number(match[1]));
    const end = Math.min(65_535, Number(match[2] ?? match[1]));
    if (begin <= end) ranges.push([begin, end]);
  }
  return ranges.sort((a, b) => a[0] - b[0]);
}

export function takePort(ledger: PortLedger, port: number, protocol: Protocol): void {
  const key = portKey(port, protocol);
  ledger.users.set(key, (ledger.users.get(key) ?? 0) + 1);
}

export function releasePort(ledger: PortLedger, port: number, protocol: Protocol): void {
  const key = portKey(port, protocol);
  const users = ledger.users.get(key) ?? 0;
  if (users <= 1) ledger.users.delete(key);
  else ledger.users.set(key, users - 1);
}

export function isPortTaken(ledger: PortLedger, port: number, protocol: Protocol): boolean {
  return ledger.users.has(portKey(port, protocol));
}

/**
 * `count` ports of the ranges that nobody uses in either protocol and that are not in `besides`; undefined when there are not enough.
 * Takes nothing: the caller does, when it places the task.
 */
export function findFreePorts(ledger: PortLedger, count: number, besides?: ReadonlySet<number>): number[] | undefined {
  if (count === 0) return [];
  const found: number[] = [];
  for (const port of portsFrom(ledger.ranges, ledger.cursor)) {
    if (isPortTaken(ledger, port, 'TCP') || isPortTaken(ledger, port, 'UDP') || besides?.has(port)) continue;
    found.push(port);
    if (found.length === count) return found;
  }
  return undefined;
}

/** All ports of the ranges once, beginning at `start`. */
function* portsFrom(ranges: [number, number][], start: number): Generator<number> {
  for (const [begin, end] of ranges) for (let port = Math.max(begin, start); port <= end; port += 1) yield port;
  for (const [begin, end] of ranges) for (let port = begin; port <= Math.min(end, start - 1); port += 1) yield port;
}

function portKey(port: number, protocol: Protocol): number {
  return port * 2 + (protocol === 'UDP' ? 1 : 0);
}
