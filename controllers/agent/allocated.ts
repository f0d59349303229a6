import { formatBytes, formatMilli, parseBytes, parseMilli } from '../../crds/quantity.ts';
import type { AgentResources, Quantity, Task } from '../../crds/types.generated.ts';
import { hasEnded } from '../task/states.ts';

/** Quantities of these are bytes; of all others thousandths. */
const BYTES: ReadonlySet<string> = new Set(['mem', 'disk']);
/** The schema's defaults, for documents of a server that did not fill them in. */
const DEFAULT_REQUESTS = { cpus: '100m', mem: '128Mi' };

export interface Allocation {
  /** Always says cpus and mem, so that an idle agent shows 0 and not nothing. */
  allocated: AgentResources;
  /** Tasks that hold something. */
  tasks: number;
}

/** What the tasks bound to an agent hold. Unreachable ones count: they may still run. */
export function allocationOf(tasks: Iterable<Task>): Allocation {
  const sum = new Map<string, number>([
    ['cpus', 0],
    ['mem', 0],
  ]);
  const ports: number[] = [];
  let count = 0;
  for (const task of tasks) {
    if (hasEnded(task)) continue;
    count += 1;
    for (const [name, amount] of requestsOf(task)) sum.set(name, (sum.get(name) ?? 0) + amount);
    for (const { hostPort } of task.spec.binding?.hostPorts ?? []) ports.push(hostPort);
  }
  const allocated: Record<string, Quantity> = {};
  for (const [name, amount] of sum) allocated[name] = BYTES.has(name) ? formatBytes(amount) : formatMilli(amount);
  if (ports.length > 0) allocated.ports = formatRanges(ports);
  return { allocated, tasks: count };
}

/** Requests of a document never change once it is bound, and documents are summed again and again. */
const known = new WeakMap<Task['spec'], Map<string, number>>();

/** Containers run together, so they add up; init containers run one after the other before them, so the largest counts. */
function requestsOf(task: Task): Map<string, number> {
  const cached = known.get(task.spec);
  if (cached) return cached;
  const sum = new Map<string, number>();
  for (const container of task.spec.containers) {
    for (const [name, amount] of amounts(container.resources?.requests)) sum.set(name, (sum.get(name) ?? 0) + amount);
  }
  for (const container of task.spec.initContainers ?? []) {
    for (const [name, amount] of amounts(container.resources?.requests))
      sum.set(name, Math.max(sum.get(name) ?? 0, amount));
  }
  known.set(task.spec, sum);
  return sum;
}

function amounts(requests: object | undefined): [string, number][] {
  return Object.entries<Quantity>({ ...DEFAULT_REQUESTS, ...requests })
    .filter(([, quantity]) => typeof quantity === 'string' || typeof quantity === 'number')
    .map(([name, quantity]) => [name, BYTES.has(name) ? parseBytes(quantity) : parseMilli(quantity)]);
}

/** [31001, 31000, 31005] -> "31000-31001,31005-31005" */
function formatRanges(ports: number[]): string {
  const ranges: [number, number][] = [];
  for (const port of [...new Set(ports)].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && last[1] + 1 === port) last[1] = port;
    else ranges.push([port, port]);
  }
  return ranges.map(([begin, end]) => `${begin}-${end}`).join(',');
}
