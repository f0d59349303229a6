import { badRequest } from '../http/errors.ts';
import { jsonEqual } from '../resources/equal.ts';
import { isObject } from './merge-patch.ts';

type Item = Record<string, unknown>;

interface ListMerge {
  mergeKey: string;
  path: string;
  mergeItem: (item: Item, change: Item) => Item;
}

/** Merges a list of objects by its merge key. Without an order, patched and new items come before those only the server has. */
export function mergeList(
  original: unknown[],
  patch: unknown[],
  order: unknown[] | undefined,
  list: ListMerge,
): unknown[] {
  const changes = patch.map((change) => itemOf(change, list));
  if (changes.some(({ $patch }) => $patch === 'replace')) {
    return changes.filter(({ $patch }) => $patch !== 'replace').map((change) => list.mergeItem({}, change));
  }
  let items = original.filter(isObject);
  const kept: Item[] = [];
  for (const change of changes) {
    const key = change[list.mergeKey];
    if (key === undefined) {
      throw badRequest(
        `${list.path}: an item of the patch does not contain the merge key ${list.mergeKey}: ${JSON.stringify(change)}`,
      );
    }
    const index = items.findIndex((item) => item[list.mergeKey] === key);
    if (change.$patch === 'delete') {
      items = items.filter((item) => item[list.mergeKey] !== key);
      continue;
    }
    kept.push(change);
    if (index < 0) items.push(list.mergeItem({}, change));
    else items[index] = list.mergeItem(items[index]!, change);
  }
  const keyOf = (item: unknown) => (isObject(item) ? item[list.mergeKey] : undefined);
  return ordered(items, (order ?? kept).map(keyOf), original.map(keyOf), keyOf);
}

/** Merges a list of scalars as a set. */
export function mergePrimitives(
  original: unknown[],
  patch: unknown[],
  order: unknown[] | undefined,
  deletions: unknown[] | undefined,
): unknown[] {
  const without = original.filter((value) => !deletions?.some((deleted) => jsonEqual(deleted, value)));
  const merged = [...new Set([...without, ...patch])];
  return ordered(merged, order ?? patch, original, (value) => value);
}

function itemOf(value: unknown, { path }: ListMerge): Item {
  if (isObject(value)) return value;
  throw badRequest(`${path}: the items of the patch must be objects, found ${JSON.stringify(value)}`);
}

/**
 * Items named by the patch in its order, interleaved with the server's own in theirs: where both have a place in the original list, it decides; else the
 * patch goes first.
 */
function ordered<T>(items: T[], patchOrder: unknown[], serverOrder: unknown[], keyOf: (item: T) => unknown): T[] {
  const rank = (order: unknown[], item: T) => order.indexOf(keyOf(item));
  const inPatch = items
    .filter((item) => rank(patchOrder, item) >= 0)
    .sort((a, b) => rank(patchOrder, a) - rank(patchOrder, b));
  const serverOnly = items.filter((item) => rank(patchOrder, item) < 0);
  const out: T[] = [];
  while (inPatch.length > 0 && serverOnly.length > 0) {
    const [ours, theirs] = [rank(serverOrder, serverOnly[0]!), rank(serverOrder, inPatch[0]!)];
    out.push(ours >= 0 && theirs >= 0 && ours < theirs ? serverOnly.shift()! : inPatch.shift()!);
  }
  return [...out, ...inPatch, ...serverOnly];
}
