import type { Shape, TaskState } from './cluster.ts';

/** Whose turn it is: the shape with the task of the highest priority, then the oldest. A binary heap over the shapes' first tasks. */
export interface Turns {
  /** Takes the next shape out. */
  next(): Shape | undefined;
  /** Puts a shape back in whose first task was placed. */
  again(shape: Shape): void;
}

export function createTurns(shapes: Iterable<Shape>): Turns {
  const heap: Shape[] = [];
  for (const shape of shapes) {
    if (shape.waiting.size === 0) continue;
    sortWaiting(shape);
    push(heap, shape);
  }
  return { next: () => pop(heap), again: (shape) => push(heap, shape) };
}

function sortWaiting(shape: Shape): void {
  if (shape.sorted) return;
  shape.waiting = new Map([...shape.waiting].sort(([, a], [, b]) => a.createdAtMs - b.createdAtMs));
  shape.sorted = true;
}

function push(heap: Shape[], shape: Shape): void {
  let at = heap.length;
  heap.push(shape);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(heap[at]!, heap[parent]!)) return;
    [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
    at = parent;
  }
}

function pop(heap: Shape[]): Shape | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  heap[0] = last;
  for (let at = 0; ; ) {
    let best = at;
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && isBefore(heap[child]!, heap[best]!)) best = child;
    }
    if (best === at) return first;
    [heap[at], heap[best]] = [heap[best]!, heap[at]!];
    at = best;
  }
}

function isBefore(left: Shape, right: Shape): boolean {
  if (left.demand.priority !== right.demand.priority) return left.demand.priority > right.demand.priority;
  const a = firstOf(left);
  const b = firstOf(right);
  return a.createdAtMs !== b.createdAtMs ? a.createdAtMs < b.createdAtMs : a.key < b.key;
}

function firstOf(shape: Shape): TaskState {
  return shape.waiting.values().next().value!;
}
